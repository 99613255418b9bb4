"""The meaning of a value head's outputs, which are a value or a histogram over values (HL-Gauss), and their losses.

The model makes estimates and the algorithm fits them to returns. Both import this module, because they do not import
each other.
"""

from __future__ import annotations

import dataclasses

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.scipy.special import ndtr
from jaxtyping import Bool, Float

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.core_jax.arrays import Array

SIGMA_OVER_WIDTH = 0.75
"""The standard deviation of a histogram's target, in bins; the choice of Farebrother et al. 2024, section 3.1."""


@dataclasses.dataclass(frozen=True)
class ValueDistribution:
    """The meaning of a value head's `bins` outputs.

    A single output is the value itself, fitted with Huber's loss. Several outputs are the logits of a histogram of
    equal bins over low .. high. The value is the mean of the histogram. It is fitted by cross-entropy to a Gaussian
    around the return (HL-Gauss: Imani and White 2018, "Improving regression performance with distributional losses";
    Farebrother et al. 2024, "Stop regressing", section 3.1). The size of its gradient does not depend on the size of
    the returns.

    A return beyond the range counts as the nearer end of the range. A value cannot reach an end. For a return at least
    two bins inside the range, the mean of the target differs from the return by at most 0.01 bins. For a return at an
    end, the mean is up to 0.7 bins too far inside.

    Attributes:
        bins: number of outputs of the head, at least 1.
        low: lower end, in units of reward; not read with one bin.
        high: upper end, above `low`.
    """

    bins: int = 1
    low: float = 0.0
    high: float = 0.0

    @classmethod
    def from_config(cls, config: Pi0FASTActorCriticConfig) -> ValueDistribution:
        """Returns the distribution that `model.value_bins`, `value_min` and `value_max` describe."""
        return cls(config.value_bins, config.value_min, config.value_max)

    @property
    def is_histogram(self) -> bool:
        """Whether the outputs are logits over bins."""
        return self.bins > 1

    @property
    def centers(self) -> Float[Array, "bins"]:
        """The middle of each bin, in units of reward."""
        edges = self._edges
        return (edges[:-1] + edges[1:]) / 2

    @property
    def _edges(self) -> Float[Array, "edges"]:
        return jnp.linspace(self.low, self.high, self.bins + 1)

    def mean(self, logits: Float[Array, "*batch bins"]) -> Float[Array, "*batch"]:
        """Returns the value that the outputs stand for, in units of reward.

        Outputs of zero stand for the value 0 with one bin, and for the middle of the range with more.
        """
        if not self.is_histogram:
            return logits[..., 0]
        return jax.nn.softmax(logits) @ self.centers

    def target(self, returns: Float[Array, "*batch"]) -> Float[Array, "*batch bins"]:
        r"""Returns the probabilities that the histogram of each return should have.

        .. math::
            p_i = \frac{\Phi((e_{i+1} - G) / \sigma) - \Phi((e_i - G) / \sigma)}
                       {\Phi((e_n - G) / \sigma) - \Phi((e_0 - G) / \sigma)}

        with edges e, return G clipped to the range, and sigma of 0.75 bins.
        """
        sigma = SIGMA_OVER_WIDTH * (self.high - self.low) / self.bins
        inside = jnp.clip(returns, self.low, self.high)[..., None]
        mass_below = ndtr((self._edges - inside) / sigma)
        return jnp.diff(mass_below) / (mass_below[..., -1:] - mass_below[..., :1])

    def loss(
        self, logits: Float[Array, "*batch bins"], returns: Float[Array, "*batch"], *, huber_delta: float
    ) -> Float[Array, "*batch"]:
        """Returns the loss of the outputs for these returns.

        With one bin it is Huber's loss (half the square within `huber_delta`). With more it is the cross-entropy in
        nats. The smallest cross-entropy is the entropy of the target, which is 1.2 away from the ends of the range.
        """
        if not self.is_histogram:
            return optax.losses.huber_loss(logits[..., 0], returns, delta=huber_delta)
        return optax.losses.softmax_cross_entropy(logits, self.target(returns))

    def is_beyond(self, returns: Float[Array, "*batch"]) -> Bool[Array, "*batch"]:
        """Returns true for each return beyond the range of the histogram; false for all with one bin."""
        if not self.is_histogram:
            return jnp.zeros(jnp.shape(returns), bool)
        return (returns < self.low) | (returns > self.high)


@flax.struct.dataclass
class ValueEstimate:
    """The outputs of a value head together with their meaning.

    Attributes:
        logits: outputs of the head.
        distribution: meaning of the outputs.
    """

    logits: Float[Array, "*batch bins"]
    distribution: ValueDistribution = flax.struct.field(pytree_node=False)

    @classmethod
    def scalar(cls, value: Float[Array, "*batch"]) -> ValueEstimate:
        """Returns an estimate that is the value itself."""
        return cls(logits=value[..., None], distribution=ValueDistribution())

    @property
    def mean(self) -> Float[Array, "..."]:
        """The value, in units of reward."""
        return self.distribution.mean(self.logits)

    def loss(self, returns: Float[Array, "*batch"], *, huber_delta: float) -> Float[Array, "*batch"]:
        """Returns `ValueDistribution.loss` of the outputs. No gradient flows into `returns`."""
        return self.distribution.loss(self.logits, jax.lax.stop_gradient(returns), huber_delta=huber_delta)
