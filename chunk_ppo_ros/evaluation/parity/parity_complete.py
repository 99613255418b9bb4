"""Says which numbers a reference set must have, so that nothing passes because it was left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from chunk_ppo_ros.core_jax.named_leaves import name_leaves
from chunk_ppo_ros.evaluation.parity.parity_set import ReferenceError, ReferenceSet
from chunk_ppo_ros.evaluation.parity.parity_tolerances import FINE

REQUIRED = (*FINE, "greedy_tokens", "grad_global_norm", "grad_leaf_names", "grad_leaf_norms")
"""The arrays that outputs.npz must have: the forward pass, decoding and the gradients in float32."""


def check_complete(reference: ReferenceSet, folder: Path, *, allow_missing: bool) -> tuple[str, ...]:
    """Returns what of the required numbers is missing, where that is allowed.

    Args:
        reference: the reference set.
        folder: its folder, for error texts.
        allow_missing: whether a set that lacks some of the required numbers is compared.

    Raises:
        ReferenceError: when nothing is known in the set, when arrays of one thing do not fit, or when numbers are
            missing that may not be.
    """
    outputs = reference.outputs
    missing = [name for name in REQUIRED if name not in outputs]
    if len(missing) == len(REQUIRED) and not allow_missing:
        raise ReferenceError(f"{folder}/outputs.npz must have known quantities, got {', '.join(sorted(outputs))}")
    missing += _missing_gradients(reference, folder)
    if missing and not allow_missing:
        raise ReferenceError(
            f"{folder}/outputs.npz must have all of the forward pass, of decoding and of the gradients, got it without "
            f"{', '.join(missing)}; take a whole set, or compare what there is by --allow_missing"
        )
    return tuple(missing)


def _missing_gradients(reference: ReferenceSet, folder: Path) -> Iterator[str]:
    """Yields the parameters without the norm of a gradient."""
    names, norms = (reference.outputs.get(name) for name in ("grad_leaf_names", "grad_leaf_norms"))
    if names is None or norms is None:
        return
    if names.shape != norms.shape or names.ndim != 1:
        raise ReferenceError(
            f"{folder}/outputs.npz must have one of grad_leaf_norms for each of grad_leaf_names, got shapes "
            f"{norms.shape} and {names.shape}; take another set"
        )
    known = {str(name).removesuffix("/value") for name in names}
    yield from (f"grad_leaf_norms of {name}" for name in name_leaves(reference.params) if name not in known)
