"""Keeps the weights that an actor acts with, and replaces them by those of another version."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Iterable, Mapping

import jax
import psutil

from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.core_jax.arrays import Array, Params, ShapeTree
from chunk_ppo_ros.core_jax.named_leaves import HasShape, name_leaves
from chunk_ppo_ros.core_jax.parameter_groups import ACTOR
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint

USABLE = 0.9
"""The part of the free memory that weights may take. The rest is left for what else is computed meanwhile."""
_GIGABYTE = 1e9


@dataclasses.dataclass(frozen=True)
class Room:
    """The memory that weights need beside those in use, and the memory that is free, both in bytes."""

    needed: int
    free: int

    @property
    def suffices(self) -> bool:
        """Whether the weights fit beside those in use."""
        return self.needed <= USABLE * self.free

    def __str__(self) -> str:
        return f"{self.needed / _GIGABYTE:.2f} GB are needed and {self.free / _GIGABYTE:.2f} GB are free"


def free_memory(device: jax.Device) -> int:
    """Returns the free memory of a device in bytes. A processor has that of the machine."""
    stats = device.memory_stats() or {}
    if "bytes_limit" in stats and "bytes_in_use" in stats:
        return int(stats["bytes_limit"]) - int(stats["bytes_in_use"])
    return free_host_memory()


def free_host_memory() -> int:
    """Returns the memory in bytes that this machine can give to programs without swapping."""
    return int(psutil.virtual_memory().available)


class ActingWeights:
    """The weights of one version.

    Where memory allows, a new version is loaded beside the present one, which then stays until the new one is whole.
    Of two versions of one run, only the leaves that the run trains are loaded.

    Args:
        params: all parameters.
        source: the checkpoint that they were read from.

    Attributes:
        params: all parameters, or None where they were lost.
    """

    def __init__(self, params: Params, source: Checkpoint) -> None:
        self.params: Params | None = params
        self._source: Checkpoint | None = source

    def take(self, params: Params) -> None:
        """Takes parameters that are in memory already."""
        self.params, self._source = params, None

    def replace(self, checkpoint: Checkpoint, expected: ShapeTree) -> str:
        """Replaces the weights by those of a checkpoint. If that fails, the present ones stay.

        Where memory does not allow two versions, the present one is moved to the memory of the host, or dropped if the
        host has no room either. If the new one then cannot be read, the present one is put back, or read again.

        Args:
            checkpoint: the checkpoint of the other version.
            expected: the shapes and dtypes of all parameters.

        Returns:
            Why the weights could not be loaded beside the present ones, in words. It is empty where they were.

        Raises:
            CheckpointError: when the checkpoint is damaged or has other shapes. The text says so where the present
                weights are lost too.
        """
        wanted, kept = name_leaves(expected), self._unchanged(checkpoint, expected)
        changed = {name: leaf for name, leaf in wanted.items() if name not in kept}
        staying = {name: leaf for name, leaf in name_leaves(self.params).items() if name in kept}
        room = Room(num_bytes(changed.values()), free_memory(_device_of(self.params)))
        put_back: list[Callable[[], Mapping[str, Array]]] = []  # at most one

        def make_room() -> None:
            put_back.append(self._leave(changed))

        try:
            new = checkpoint.load_leaves(changed, ignored=kept, before_reading=_nothing if room.suffices else make_room)
        except BaseException:  # After Ctrl-C too there must be weights that belong together.
            if put_back:
                self.params = _joined(expected, {**staying, **put_back[0]()})
            raise
        self.params, self._source = _joined(expected, {**staying, **new}), checkpoint
        return "" if room.suffices else f"the memory has no room for two versions: {room}"

    def _unchanged(self, checkpoint: Checkpoint, expected: ShapeTree) -> frozenset[str]:
        """Returns the names of the leaves that the checkpoint has in common with the present weights."""
        before, after = (None if each is None else each.metadata for each in (self._source, checkpoint))
        if self.params is None or before is None or after is None:
            return frozenset()
        if before.counters.run_id != after.counters.run_id or before.frozen != after.frozen:
            return frozenset()
        trained = name_leaves(after.frozen.trained_leaves(expected[ACTOR]))
        return frozenset(f"{ACTOR}/{name}" for name, is_trained in trained.items() if not is_trained)

    def _leave(self, changed: Mapping[str, HasShape]) -> Callable[[], Mapping[str, Array]]:
        """Drops the parameters, and returns a function that returns the leaves that change again.

        The other leaves must be kept by the caller.
        """
        leaving = {name: leaf for name, leaf in name_leaves(self.params).items() if name in changed}
        ignored = [name for name in name_leaves(self.params) if name not in changed]
        source, self.params = self._source, None
        if not Room(num_bytes(changed.values()), free_host_memory()).suffices:
            return lambda: _read_again(source, changed, ignored=ignored)
        copies = {name: (jax.device_get(leaf), leaf.sharding) for name, leaf in leaving.items()}
        return lambda: {name: jax.device_put(copy, place) for name, (copy, place) in copies.items()}


def num_bytes(leaves: Iterable[HasShape]) -> int:
    """Returns the number of bytes of arrays of these shapes."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)


def _device_of(params: Params | None) -> jax.Device:
    """Returns the device of parameters, or that which gets the next ones where there are none."""
    leaves = jax.tree.leaves(params)
    return next(iter(leaves[0].devices())) if leaves else jax.local_devices()[0]


def _joined(expected: ShapeTree, leaves: Mapping[str, Array]) -> Params:
    return jax.tree.unflatten(jax.tree.structure(expected), [leaves[name] for name in name_leaves(expected)])


def _nothing() -> None:
    """Frees nothing."""


def _read_again(
    source: Checkpoint | None, leaves: Mapping[str, HasShape], *, ignored: Collection[str]
) -> Mapping[str, Array]:
    """Returns leaves of the checkpoint that the weights were read from before.

    Raises:
        CheckpointError: when they cannot be read.
    """
    if source is None:
        raise CheckpointError("the weights in use are lost, because they were in no checkpoint; load a checkpoint")
    read: Mapping[str, Array] = source.load_leaves(leaves, ignored=ignored)
    return read
