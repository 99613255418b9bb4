"""Divides a parameter tree into the part that is trained and the part that is frozen, and joins them again.

Gradients and optimizer state are made for the trained part only. `model/backbone/freezing.py` decides which of the
model's parameters are trained.
"""

from __future__ import annotations

import dataclasses

import jax
from jaxtyping import PyTree


@dataclasses.dataclass(frozen=True)
class Partition:
    """Divides trees of one structure.

    Attributes:
        trained: bools in the structure of the tree or of its upper part, where one bool holds for all leaves below it.
            `True` trains everything, and `{"actor": False, "value": True}` trains the values only.
    """

    trained: PyTree[bool]

    def split(self, tree: PyTree) -> tuple[PyTree, PyTree]:
        """Returns the trained and the frozen part, each with None at the leaves of the other. Nothing is copied.

        Raises:
            ValueError: if `tree` has another structure than the partition.
        """
        chosen = jax.tree.map(lambda trained, leaf: leaf if trained else None, self.trained, tree)
        rest = jax.tree.map(lambda trained, leaf: None if trained else leaf, self.trained, tree)
        return chosen, rest

    def join(self, trained: PyTree, frozen: PyTree) -> PyTree:
        """Returns the tree that `split` divided into these parts."""
        return jax.tree.map(lambda flag, mine, other: mine if flag else other, self.trained, trained, frozen)
