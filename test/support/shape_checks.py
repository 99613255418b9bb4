"""Makes the checker that `conftest.py` puts around every function of core_jax/, model/ and rl/."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import jax
import jaxtyping
import numpy as np
from beartype import BeartypeConf, FrozenDict, beartype
from beartype.vale import Is

ROOMS = ("chunk_ppo_ros.core_jax", "chunk_ppo_ros.model", "chunk_ppo_ros.rl")
"""The packages whose signatures are checked while tests run."""


def install() -> None:
    """Has every function of these packages checked that is imported after this call, in this process.

    The processes that tests start run without checks, as in production.
    """
    jaxtyping.install_import_hook(ROOMS, "support.shape_checks.check")


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns beartype's check of the arguments.

    The check of a pytree's constructor does nothing while JAX rebuilds the pytree.

    JAX builds a dataclass anew with whatever a transformation puts at its leaves: shapes, shardings, bools. These are
    no arrays, and an array annotation says nothing about them.
    """
    checked = beartype(function, conf=type_checks())
    if function.__name__ != "__init__":
        return checked
    signature = inspect.signature(function)

    @functools.wraps(function)
    def check_arrays(*args: Any, **kwargs: Any) -> Any:
        values = signature.bind(*args, **kwargs).arguments
        return (function if rebuilds_without_arrays(values) else checked)(*args, **kwargs)

    return check_arrays


@functools.cache
def type_checks() -> BeartypeConf:
    """Returns the settings of beartype. An int passes where a float is asked for, as it does for mypy.

    A tree of arrays is checked here. jaxtyping's own check of such a tree takes a millisecond for each of its arrays,
    which was a third of the time of the tests that train.
    """
    from chunk_ppo_ros.core_jax.arrays import Params, Tree  # the hook is there before the first module of a room

    arrays = Annotated[object, Is[holds_only_arrays]]
    return BeartypeConf(is_pep484_tower=True, hint_overrides=FrozenDict({Params: arrays, Tree: arrays}))


def holds_only_arrays(tree: object) -> bool:
    """Returns whether all leaves of a pytree are arrays or scalars of numpy."""
    return all(isinstance(leaf, jax.Array | np.ndarray | np.generic) for leaf in jax.tree.leaves(tree))


def rebuilds_without_arrays(values: dict[str, Any]) -> bool:
    """Returns whether a pytree's constructor gets these arguments, with leaves that it does not take.

    `self` is among the arguments. A numpy array counts as an array where the field says `Array`, because
    `jax.device_get` brings such a pytree to the host.
    """
    kind = type(values["self"])
    if not getattr(kind, "_flax_dataclass", False):
        return False
    nodes = [field for field in dataclasses.fields(kind) if field.metadata.get("pytree_node", True)]
    return not all(may_be_checked(values[node.name], str(node.type)) for node in nodes if node.name in values)


def may_be_checked(value: object, annotation: str) -> bool:
    """Returns whether the value of a pytree's field consists of arrays of the kind that the annotation names."""
    if value is None:
        return "None" in annotation
    if isinstance(value, np.ndarray | np.generic):
        return "AnyArray" in annotation
    return holds_only_arrays(value)
