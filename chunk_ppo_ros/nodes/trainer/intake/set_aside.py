"""Sets transitions aside for trainer_node, and counts them."""

from __future__ import annotations

from pathlib import Path

from chunk_ppo_ros.core.consumption.chunk_ranges import ChunkKey
from chunk_ppo_ros.core.types import ChunkId
from chunk_ppo_ros.data.rollout_journal import OnDurable
from chunk_ppo_ros.data.set_aside import NAME, SetAsideStore, SetAsideTransition
from chunk_ppo_ros.nodes.trainer.intake.received import read_id


class SetAside:
    """Stores transitions that no update takes, each with its reason.

    Args:
        folder: the folder of the stores of a run.
    """

    def __init__(self, folder: Path) -> None:
        self._store = SetAsideStore(folder / NAME)
        self._count = 0

    def begin_run(self, run_id: str) -> None:
        """Opens the store for a run.

        Raises:
            StoreLocked: when another process writes the store.
            OSError: when a file cannot be read.
            UserError: when the store holds messages of another format.
        """
        self._store.close()
        self._store.open(run_id)

    def __call__(self, key: ChunkKey, raw: bytes, reason: str, on_durable: OnDurable) -> None:
        """Stores a transition.

        Args:
            key: its sender and number.
            raw: its serialized message, or as much of it as there is.
            reason: why no update takes it.
            on_durable: is called when it is stored, possibly in another thread.
        """
        self._count += 1
        id = read_id(raw) or ChunkId("", key[1], 0, 0, key[0])
        self._store.put(SetAsideTransition(id, reason, raw), on_durable)

    def take_count(self) -> int:
        """Returns how many transitions were set aside since the last call."""
        count, self._count = self._count, 0
        return count

    def close(self) -> None:
        """Stores what waits, and frees the folder.

        Raises:
            OSError: when it cannot be synced.
        """
        self._store.close()
