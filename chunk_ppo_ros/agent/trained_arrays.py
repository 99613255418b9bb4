"""Keeps the arrays that a learner trains, and reads them again where an update has used them up."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp

from chunk_ppo_ros.core_jax.arrays import Params, ShapeTree, Tree
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.rl.gradient_step import OptState, Reload, committed


class TrainedArrays:
    """The parameters and the state of the optimizer of the present version.

    Args:
        params: all parameters.
        opt_state: the state of the optimizer.
        checkpoint: returns the checkpoint of the present version. None where an update keeps a copy of what it changes
            instead (`ppo.undo_from` is memory).

    Attributes:
        params: all parameters.
        opt_state: the state of the optimizer.
        reload: reads both again from the checkpoint, for `PPOUpdate`; None where an update keeps a copy.
    """

    def __init__(self, params: Params, opt_state: OptState, *, checkpoint: Callable[[], Checkpoint] | None) -> None:
        self.params = committed(params)
        self.opt_state = committed(opt_state)
        self._shapes = _shapes((self.params, self.opt_state))
        self._checkpoint = checkpoint
        self.reload: Reload | None = None if checkpoint is None else self._read

    def apart(self, reference: Params | None) -> Params | None:
        """Returns the parameters of a reference in arrays that no update can use up, or None if there is none."""
        if reference is None or self.reload is None:
            return reference
        return jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), reference)

    @contextlib.contextmanager
    def whole_after(self) -> Iterator[None]:
        """Reads the arrays again if what is done within this context has used them up and not replaced them.

        Raises:
            CheckpointError: when they must be read again and cannot be.
        """
        try:
            yield
        finally:
            if any(leaf.is_deleted() for leaf in jax.tree.leaves((self.params, self.opt_state))):
                self.params, self.opt_state = map(committed, self._read())

    def _read(self) -> tuple[Params, OptState]:
        if self._checkpoint is None:
            raise RuntimeError("arrays that have no checkpoint must not be used up, got some; report this")
        checkpoint, (params, opt_state) = self._checkpoint(), self._shapes
        return checkpoint.load_leaves(params), checkpoint.load_train_state(opt_state)


def _shapes(tree: Tree) -> ShapeTree:
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)
