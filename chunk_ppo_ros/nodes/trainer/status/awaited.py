"""What trainer_node waits for, in words."""

from __future__ import annotations

from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.trainer.intake.first_reports import FirstReports
from chunk_ppo_ros.nodes.trainer.training_run import TrainingRun


def awaited(node: WorkerNode, run: TrainingRun | None, first_reports: FirstReports) -> str:
    """Returns what training waits for, or an empty string while the node works or is done.

    Args:
        node: trainer_node.
        run: the run, or None while there is none.
        first_reports: knows whether an update waits for what reward_node tells first.
    """
    if run is None:
        return "" if node.is_working else "an operator, who configures the node"
    if not (node.is_active or node.starts_itself):
        return "an operator, who activates the node"
    if run.unsaved_metrics is not None:
        return "" if node.is_working else "the disk, to save the checkpoint"
    if run.is_updating or run.is_finished:
        return ""
    return "the first reports of reward_node" if first_reports.waits else _awaited_in_rollout(run)


def _awaited_in_rollout(run: TrainingRun) -> str:
    buffer = run.buffer
    if buffer.is_complete:
        return "an operator, because the update has failed"
    if run.intake.waits_for_disk:
        return "the disk, to store transitions"
    return count_of(buffer.num_required - buffer.num_accepted, "more transition")
