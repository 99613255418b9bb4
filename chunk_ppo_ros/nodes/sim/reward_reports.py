"""Reports the rewards of the task for chunks that were executed, each once, and keeps the reports until they count."""

from __future__ import annotations

import collections
from pathlib import Path

from chunk_ppo_msgs.msg import ExecutionResult
from rclpy.node import Node

from chunk_ppo_ros.config import TASK_SOURCE
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.data.store import Key
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.reports.report_outbox import ReportOutbox
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.nodes.wire.reports import source_report_to_message
from chunk_ppo_ros.rewards.chunk_join import SourceReport
from chunk_ppo_ros.sim.chunk_rewards import ChunkRewards

NUM_REMEMBERED = 4096
"""The number of chunks that are known to have a report."""
LONGEST_UNKNOWN = 600 * NANOSECONDS
"""More simulated time than passes after the begin of the newest chunk that has a report, ns."""


class RewardReports:
    """Adds up the rewards of a chunk, stores and publishes their sum when the chunk has ended.

    robot_node repeats a result until the outcome of its chunk is known. The steps of a chunk count once, and a chunk
    that another process of sim_node has simulated gets no report from this one, which does not know its steps.

    Args:
        node: the node that publishes and logs.
        folder: the folder of the stored reports.
        conditions: the conditions of the node.

    Attributes:
        rewards: adds up the steps.
        started: the time at which this process began to simulate, ns. It knows no chunk of before.
        guard: leaves out what other nodes than the right ones say. sim_node uses it for the topics of these reports.
    """

    def __init__(self, node: Node, folder: Path, conditions: Conditions) -> None:
        self.rewards = ChunkRewards()
        self.started = 0
        self._newest_start = -1  # the stamp of the last start of an episode, ns
        self._logger = node.get_logger()
        self._answered: collections.OrderedDict[int, None] = collections.OrderedDict()
        self._outbox = ReportOutbox(node, topics.TASK_REWARD, folder, conditions, on_open=self._on_open)
        self.guard = self._outbox.guard
        self._outbox.open()

    @property
    def later_than_all(self) -> int:
        """A time that an earlier process has not simulated, ns; 0 where none has reported."""
        return max(self._answered) + LONGEST_UNKNOWN if self._answered else 0

    def answer(self, result: ExecutionResult) -> bool:
        """Reports the rewards of a chunk. Returns whether the result is a new one.

        Args:
            result: the result of the chunk, of which at least one step counts.
        """
        stamp = time_to_ns(result.header.stamp)
        if stamp in self._answered:
            self._outbox.send_again(stamp)
            return False
        self._note(stamp)
        if stamp < self.started or not self.rewards.is_running:
            self._logger.warning(
                f"the chunk of stamp {stamp} gets no task_reward: it began before this sim_node was started"
            )
            return True
        reward = self.rewards.finish(until=time_to_ns(result.end))
        report = SourceReport(TASK_SOURCE, reward.terms, terminated=reward.terminated, success=reward.success)
        self._outbox.put(source_report_to_message(report, result))
        return True

    def note_reset(self, stamp: int, *, run_id: str) -> None:
        """Begins an episode of a run. `stamp` is that of the event, ns."""
        self.rewards.reset()
        self._outbox.note_run(run_id)
        self._outbox.note_reset(stamp)

    def note_start(self, stamp: int) -> None:
        """Judges nothing that moved the arms before an episode started. `stamp` is that of the event, ns.

        A reward_node that was started anew publishes the start again, while a chunk may run.
        """
        if stamp != self._newest_start:
            self._newest_start = stamp
            self.rewards.reset()

    def close(self) -> None:
        """Stores and publishes what waits."""
        self._outbox.close()

    def _note(self, stamp: int) -> None:
        self._answered[stamp] = None
        if len(self._answered) > NUM_REMEMBERED:
            self._answered.popitem(last=False)

    def _on_open(self, found: frozenset[Key]) -> None:
        for key in sorted(found, key=lambda key: key.number):
            self._note(key.number)
