"""Announces the versions of a run on `policy_version`, with how many of their transitions trainer_node has."""

from __future__ import annotations

from rclpy.duration import Duration

from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.trainer.training_run import TrainingRun
from chunk_ppo_ros.nodes.wire import topics

_LAST_WORDS_TIMEOUT = Duration(seconds=2)


class Announcer:
    """Publishes announcements.

    Args:
        node: trainer_node.
    """

    def __init__(self, node: WorkerNode) -> None:
        self._node = node
        self._publisher = topics.POLICY_VERSION.create_publisher(node)

    def announce(self, run: TrainingRun) -> None:
        """Announces the version of a run, and the number of its transitions."""
        self._publisher.publish(run.announcement(stamp=self._node.ros_time.now()))

    def announce_count(self, run: TrainingRun) -> None:
        """Announces the version again, because the number of transitions that it has is another one.

        A policy_node that starts later hears the newest announcement, and none of the acknowledgments before. While an
        update is made, the worker thread changes what an announcement tells, and the number stays as it is.
        """
        if self._node.is_active and not run.is_updating:
            self.announce(run)

    def wait_until_heard(self) -> None:
        """Waits until all subscribers have the last announcement, 2 s at most."""
        self._publisher.wait_for_all_acked(_LAST_WORDS_TIMEOUT)
