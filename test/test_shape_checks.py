"""Tests shapes in signatures. Wrong ones are refused while tests run, and all can be read.

Production does not check them.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from beartype.roar import BeartypeCallHintParamViolation

from chunk_ppo_ros.core_jax.arrays import Params
from chunk_ppo_ros.core_jax.value_distribution import ValueDistribution, ValueEstimate
from chunk_ppo_ros.model import decoding
from support import shape_checks
from support.fresh_python import run_program

BROADCASTING_CALL = (
    "import jax.numpy as jnp\n"
    "from chunk_ppo_ros.core_jax.value_distribution import ValueEstimate\n"
    "losses = ValueEstimate.scalar(jnp.zeros(3)).loss(jnp.ones((3, 1)), huber_delta=1.0)\n"
)
"""Shows what goes wrong without an error. Returns with one axis too many make a matrix of losses."""


def modules() -> list[str]:
    """Returns the names of all modules whose signatures are checked."""
    packages = [importlib.import_module(name) for name in shape_checks.ROOMS]
    infos = [info for package in packages for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    return sorted({*shape_checks.ROOMS, *(info.name for info in infos)})


def functions(module: ModuleType) -> Iterator[Callable[..., Any]]:
    """Yields the functions and methods that a module defines, without what is wrapped around them."""
    own = [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__]
    for owner in [module, *filter(inspect.isclass, own)]:
        for value in vars(owner).values():
            function = getattr(value, "fget", None) or getattr(value, "__func__", value)
            if inspect.isfunction(function) and function.__module__ == module.__name__:
                yield inspect.unwrap(function)


def test_a_wrong_shape_is_refused():
    estimate = ValueEstimate.scalar(jnp.zeros(3))
    assert estimate.loss(jnp.ones(3), huber_delta=1.0).shape == (3,)
    with pytest.raises(jaxtyping.TypeCheckError, match="returns"):
        estimate.loss(jnp.ones((3, 1)), huber_delta=1.0)


def test_a_wrong_kind_of_number_is_refused():
    with pytest.raises(jaxtyping.TypeCheckError, match="legal"):
        decoding.legal_log_probs(jnp.zeros((2, 5)), jnp.ones((2, 5)), 1.0)


def test_a_pytree_with_arrays_that_do_not_belong_together_is_refused():
    ones, mask = jnp.ones((2, 3)), jnp.ones((2, 3), bool)
    with pytest.raises(jaxtyping.TypeCheckError, match="entropies"):
        decoding.TokenSamples(jnp.zeros((2, 3), jnp.int32), mask, ones, ones[:, :2])


@pytest.mark.parametrize("leaf", ["text", 1.0, jax.ShapeDtypeStruct((2,), jnp.float32)], ids=str)
def test_a_tree_with_a_leaf_that_is_no_array_is_refused(leaf):
    @shape_checks.check
    def names(tree: Params) -> list[str]:
        return sorted(tree)

    arrays = {"a": jnp.zeros(2), "b": {"c": np.zeros(3), "d": np.float32(1.0), "e": None}}
    assert names(arrays) == ["a", "b"]
    with pytest.raises(BeartypeCallHintParamViolation, match="tree"):
        names(arrays | {"b": {"c": leaf}})


def test_jax_may_rebuild_a_pytree_without_arrays():
    estimate = ValueEstimate(jnp.zeros((2, 4)), ValueDistribution(bins=4, low=0.0, high=1.0))
    assert jax.tree.map(lambda leaf: leaf.shape, estimate).logits == (2, 4)
    assert jax.eval_shape(lambda: estimate).logits.shape == (2, 4)
    assert jax.tree.map(lambda leaf: None, estimate).logits is None
    assert isinstance(jax.device_get(estimate).logits, np.ndarray)


@pytest.mark.parametrize("name", modules())
def test_every_signature_can_be_read(name):
    """A signature that cannot be read is not checked, and nobody would notice."""
    for function in functions(importlib.import_module(name)):
        typing.get_type_hints(function, include_extras=True)


def test_there_are_signatures_to_read():
    assert sum(1 for name in modules() for _ in functions(importlib.import_module(name))) > 150


def test_production_code_neither_checks_nor_loads_beartype():
    program = (
        "import importlib, sys\n"
        f"for name in {modules()!r}:\n"
        "    importlib.import_module(name)\n"
        f"{BROADCASTING_CALL}"
        "assert losses.shape == (3, 3)\n"
        "sys.exit('beartype is loaded' if 'beartype' in sys.modules else None)\n"
    )
    result = run_program(program)
    assert result.returncode == 0, result.stderr
