"""What of a parameter tree is trained: the tree in two parts, which together are the tree again.

Gradients and optimizer state are made for the trained part only. Not here: which parameters that is
(`model/backbone/freezing.py` for the model's).
"""

from __future__ import annotations

import dataclasses

import jax
from jaxtyping import PyTree


@dataclasses.dataclass(frozen=True)
class Partition:
    """Divides trees of one structure.

    Attributes:
        trained: bools in the structure of the tree or of its upper part, where one bool stands for all below it: `True`
            trains everything, `{"actor": False, "value": True}` the values only.
    """

    trained: PyTree[bool]

    def split(self, tree: PyTree) -> tuple[PyTree, PyTree]:
        """Returns the trained and the frozen part, each with None in the other's places; nothing is copied.

        Raises:
            ValueError: if `tree` has another structure than the partition.
        """
        chosen = jax.tree.map(lambda trained, leaf: leaf if trained else None, self.trained, tree)
        rest = jax.tree.map(lambda trained, leaf: None if trained else leaf, self.trained, tree)
        return chosen, rest

    def join(self, trained: PyTree, frozen: PyTree) -> PyTree:
        """Returns the tree of which these are the parts."""
        return jax.tree.map(lambda flag, mine, other: mine if flag else other, self.trained, trained, frozen)
