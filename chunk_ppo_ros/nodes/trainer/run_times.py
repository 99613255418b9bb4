"""Listens to what reward_node counts of the run, such as where its time goes, for the metrics of trainer_node."""

from __future__ import annotations

from chunk_ppo_msgs import msg

from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.nodes.common.subscriptions import subscribe
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.reporting.run_metrics import RUN_TIMES, RUNNING_WHEN_ROBOT_DIED, run_time_metrics


class RunTimesIntake:
    """Subscribes to `episode_state`, and keeps the newest times of a run.

    Args:
        node: the node that subscribes and reports the conditions.
    """

    def __init__(self, node: WorkerNode) -> None:
        self._newest: msg.EpisodeState | None = None
        subscribe(node, node, topics.EPISODE_STATE, self._on_state)

    def metrics(self, run_id: str) -> Metrics:
        """Returns the times of a run and what its deaths cost as metrics, at most about a second old.

        There are none where reward_node has not told any.

        Args:
            run_id: the identity of the run.
        """
        state = self._newest
        if state is None or state.run_id != run_id or not state.times.wall:
            return Metrics({})
        times = run_time_metrics({name: getattr(state.times, name) for name in RUN_TIMES})
        return times | Metrics({RUNNING_WHEN_ROBOT_DIED: state.running_when_robot_died})

    def _on_state(self, message: msg.EpisodeState) -> None:
        self._newest = message
