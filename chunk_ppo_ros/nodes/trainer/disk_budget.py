"""Keeps the stored transitions of a run within `run.max_disk`, and says at the start what a run needs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from chunk_ppo_ros.data.rollout_journal import RolloutJournal
from chunk_ppo_ros.model.checkpoints.step_folders import finished_checkpoints, step_of
from chunk_ppo_ros.nodes.common.worker import Failed, Outcome
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.trainer.disk_need import DiskNeed


@dataclasses.dataclass(frozen=True)
class Removal:
    """What was removed to keep the budget.

    Attributes:
        files: the removed files.
        beyond: the name of the oldest checkpoint, where files were removed whose transitions wait again after a
            rollback to it; empty where none were.
    """

    files: tuple[Path, ...]
    beyond: str = ""


class DiskBudget:
    """Removes the oldest transitions that were trained on, in the worker thread of trainer_node.

    Args:
        node: trainer_node.
    """

    def __init__(self, node: WorkerNode) -> None:
        self._node = node
        self._need = DiskNeed.of(node.config)
        self._is_told = False  # that a rollback cannot have all transitions again

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
        self._node.submit(lambda: self._remove(journal), self._on_removed)

    def _remove(self, journal: RolloutJournal) -> Removal:
        """Removes what is above the budget. What a rollback needs goes last, because a full disk stops the run."""
        checkpoints, budget = finished_checkpoints(self._node.config.run.checkpoint_folder), self._need.budget
        oldest = checkpoints[0] if checkpoints else None
        files = journal.remove_oldest(max_bytes=budget, rollback_to=None if oldest is None else step_of(oldest))
        more = journal.remove_oldest(max_bytes=budget)
        return Removal((*files, *more), oldest.name if more and oldest is not None else "")

    def _on_removed(self, outcome: Outcome[Removal]) -> None:
        logger = self._node.get_logger()
        if isinstance(outcome, Failed):
            logger.error(f"the oldest stored transitions cannot be removed: {outcome.error}")
        elif outcome.value.beyond and not self._is_told:
            self._is_told = True
            logger.warning(
                f"run.max_disk {self._node.config.run.max_disk:g} GiB does not hold what was trained on since "
                f"{outcome.value.beyond}, the oldest checkpoint, and the oldest of it is removed: a rollback that far "
                "has these chunks sampled anew; raise run.max_disk, or lower run.keep_checkpoints"
            )
