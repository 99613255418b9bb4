"""Keeps the stored transitions of a run within `run.max_disk`, and says at the start what a run needs."""

from __future__ import annotations

from pathlib import Path

from chunk_ppo_ros.data.rollout_journal import RolloutJournal
from chunk_ppo_ros.nodes.common.worker import Failed, Outcome
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.trainer.disk_need import DiskNeed


class DiskBudget:
    """Removes the oldest transitions that were trained on, in the worker thread of trainer_node.

    Args:
        node: trainer_node.
    """

    def __init__(self, node: WorkerNode) -> None:
        self._node = node
        self._need = DiskNeed.of(node.config)

    def tell(self) -> None:
        """Logs what the run needs in an hour, what is kept, and what is free. Too little is a warning."""
        logger, folder = self._node.get_logger(), self._node.config.run.folder
        text = self._need.sentence(folder)
        if self._need.is_met(folder):
            logger.info(text)
        else:
            logger.warning(text)

    def keep(self, journal: RolloutJournal) -> None:
        """Submits the removal of what is above the budget."""
        self._node.submit(lambda: journal.remove_oldest(max_bytes=self._need.budget), self._on_removed)

    def _on_removed(self, outcome: Outcome[list[Path]]) -> None:
        if isinstance(outcome, Failed):
            self._node.get_logger().error(f"the oldest stored transitions cannot be removed: {outcome.error}")
