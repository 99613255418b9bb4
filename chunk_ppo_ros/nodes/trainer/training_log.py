"""Writes metrics of updates and episodes to their topics, to the run's metrics file, and to wandb."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from chunk_ppo_msgs import msg

from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.trainer.run_times import RunTimesIntake
from chunk_ppo_ros.nodes.wire import conversions, topics
from chunk_ppo_ros.reporting.metric_table import Kind
from chunk_ppo_ros.reporting.metrics_log import MetricsLog
from chunk_ppo_ros.reporting.progress.run_estimate import RunEstimate
from chunk_ppo_ros.reporting.run_metrics import episode_labels, episode_metrics
from chunk_ppo_ros.reporting.update_line import update_line

_OUTCOMES = (msg.EpisodeEvent.SUCCESS, msg.EpisodeEvent.FAILURE, msg.EpisodeEvent.TIME_LIMIT)


class TrainingLog:
    """Writes the metrics of trainer_node.

    Args:
        node: the node that publishes the metrics and reports a full disk. A full disk does not stop training.

    Attributes:
        file: the run's metrics file and wandb, or None until the run is known.
        update: the metrics of the newest update, or None before one.
    """

    def __init__(self, node: WorkerNode) -> None:
        self.file: MetricsLog | None = None
        self._node = node
        self.update: Metrics | None = None
        self._solved: list[bool] = []  # whether each episode since the last update was solved
        self._newest_episode: dict[str, int] = {}  # the newest episode that is written, by sender
        self._times = RunTimesIntake(node)
        self._estimate: RunEstimate | None = None
        self._updates = topics.TRAINING_METRICS.create_publisher(node)
        self._episodes = topics.EPISODE_METRICS.create_publisher(node)

    def write_update(self, metrics: Metrics, counters: Counters) -> None:
        """Publishes, records and prints the update that produced `counters.policy_version`."""
        self.update = metrics
        timed = metrics | self._times.metrics(counters.run_id)
        self._updates.publish(self._message(timed, counters))
        self._write("update", timed, counters)
        ppo = self._node.config.ppo
        self._estimate = self._estimate or RunEstimate(ppo.total_timesteps)
        end = self._estimate.after_update(counters.num_steps)
        line = update_line(metrics, counters=counters, ppo=ppo, solved=self._solved, end=end)
        self._node.get_logger().info(line)
        self._solved = []

    def write_episode(self, event: msg.EpisodeEvent, counters: Counters) -> None:
        """Writes an episode that has ended. An episode without an outcome is not an episode of the task.

        An end that comes again, because reward_node died right after it had published it, is not written again. If a
        human took over, the episode does not count as solved by the policy.
        """
        if event.outcome not in _OUTCOMES or event.episode <= self._newest_episode.get(event.sender, -1):
            return
        self._newest_episode[event.sender] = event.episode
        prompt = event.prompt if self._node.config.episode.has_several_prompts else ""
        solved = event.outcome == msg.EpisodeEvent.SUCCESS and not event.intervened
        self._solved.append(solved)
        metrics = episode_metrics(
            episode=event.episode,
            total_reward=event.total_reward,
            success=solved,
            intervened=event.intervened,
            num_chunks=event.num_chunks,
            prompt=prompt,
        )
        metrics |= self._times.metrics(counters.run_id)
        self._episodes.publish(self._message(metrics, counters, sender=event.sender))
        self._write("episode", metrics, counters, labels=episode_labels(prompt))

    def close(self) -> None:
        """Closes the metrics file, and forgets the pace of the run."""
        self._estimate = None
        if self.file is not None:
            self.file.close()
            self.file = None

    def _message(self, metrics: Metrics, counters: Counters, *, sender: str = "") -> msg.TrainingMetrics:
        return conversions.metrics_to_message(metrics, counters, stamp=self._node.ros_time.now(), sender=sender)

    def _write(
        self, kind: Kind, metrics: Metrics, counters: Counters, labels: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        if self.file is None:
            return
        try:
            self.file.write(kind, metrics, counters=counters, labels=labels)
        except OSError as error:
            self._node.raise_condition(condition_table.METRICS_NOT_STORED, reason=str(error))
        else:
            self._node.clear_condition(condition_table.METRICS_NOT_STORED)
