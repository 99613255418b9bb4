"""Holds the metrics that compiled functions return, by their logged names, and joins those of several gradient steps.

Each metric is written where it is computed, and `reporting/metric_table/` lists them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import flax.struct
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core_jax.arrays import AnyArray

How = Literal["mean", "min", "max"]
"""The ways in which the scalars of several gradient steps become one metric."""


@flax.struct.dataclass
class MetricScalar:
    """One metric of a gradient step or of a rollout.

    Attributes:
        value: the number; [K] where the numbers of K parts of a minibatch are stacked.
        counts: whether there was anything to measure, in the shape of `value`. A scalar that does not count is left out
            of the metric.
        how: how the scalars of several steps become one.
        otherwise: the metric where none of the scalars counts.
    """

    value: Float[AnyArray, "*parts"]
    counts: Bool[AnyArray, "*parts"]
    how: How = flax.struct.field(pytree_node=False)
    otherwise: float = flax.struct.field(pytree_node=False)

    def joined(self) -> MetricScalar:
        """Returns the scalar of a minibatch from those of its K parts. Their means divide by the minibatch's counts."""
        match self.how:
            case "mean":
                value = jnp.sum(self.value, axis=0)
            case "min":
                value = jnp.min(self.value, axis=0)
            case "max":
                value = jnp.max(self.value, axis=0)
        return MetricScalar(value, jnp.any(self.counts, axis=0), self.how, self.otherwise)


def scalar(
    value: Float[AnyArray, ""], *, counts: Bool[AnyArray, ""] | bool = True, how: How = "mean", otherwise: float = 0.0
) -> MetricScalar:
    """Returns a metric. By default it counts. The arguments are those of `MetricScalar`."""
    return MetricScalar(value, jnp.asarray(counts), how, otherwise)


@flax.struct.dataclass
class ScalarMetrics:
    """Scalars by the names under which they are logged.

    Attributes:
        scalars: each scalar by its logged name.
    """

    scalars: dict[str, MetricScalar]

    def __getitem__(self, name: str) -> Float[AnyArray, "*parts"]:
        """Returns the value of the scalar of this name."""
        return self.scalars[name].value

    def __contains__(self, name: str) -> bool:
        """Returns whether there is a scalar of this name."""
        return name in self.scalars

    def __or__(self, other: ScalarMetrics) -> ScalarMetrics:
        """Returns the scalars of both, which must have different names."""
        return ScalarMetrics({**self.scalars, **other.scalars})

    def joined(self) -> ScalarMetrics:
        """Returns the scalars of a minibatch from those of its K parts, [K] each."""
        return ScalarMetrics({name: parts.joined() for name, parts in self.scalars.items()})


def metrics_of(steps: Sequence[ScalarMetrics]) -> Metrics:
    """Returns the metrics of an update from the scalars of its gradient steps.

    Args:
        steps: the scalars of each step, which have the same names and are on the host; at least one step.
    """
    return Metrics({name: _metric([step.scalars[name] for step in steps]) for name in steps[0].scalars})


def _metric(scalars: Sequence[MetricScalar]) -> float:
    values = [entry.value for entry in scalars if entry.counts]
    if not values:
        return scalars[0].otherwise
    match scalars[0].how:
        case "mean":
            return float(np.mean(values))
        case "min":
            return float(np.min(values))
        case "max":
            return float(np.max(values))
