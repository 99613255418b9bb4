"""Publishes what the robot did with each chunk and each segment of a human, and logs what went wrong."""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

from chunk_ppo_msgs import msg
from rclpy.node import Node
from rclpy.serialization import serialize_message

from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.data.store import Key
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.hold_off import HoldOff
from chunk_ppo_ros.nodes.common.reports.report_outbox import REPORT, ReportOutbox
from chunk_ppo_ros.nodes.robot.robot_diagnostics import RobotDiagnostics
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.nodes.wire.conversions import execution_to_message
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer

LONGEST_WAIT = 2.0
"""The time for which a result without a command waits until reward_node listens, s of the steady clock."""
REPEAT_AFTER = 1.0
"""The time after which such a result is published again where its trajectory comes again, s of the steady clock."""
NUM_REMEMBERED = 16
"""The number of such results that are remembered."""

_BEGUN = REPORT + 1
"""The kind under which the result is kept that a later process sends where this one dies while a chunk runs."""


class ResultPublisher:
    """Publishes the results of the chunk player on `execution_result`.

    Where the robot was commanded something, the result is stored before it is published, and is repeated until the
    outcome of the chunk is known, also by the next process (`ReportOutbox`). When a chunk begins, a result is kept that
    only the next process would send: that robot_node died while the chunk ran.

    A result without a command is not stored. When robot_node has just started, it may know of the trajectories'
    publisher before it knows that reward_node listens to the results. Therefore such a result waits until the node that
    publishes episode events listens, but not for longer than `LONGEST_WAIT`.

    Args:
        node: the node that publishes and logs.
        player: the chunk player.
        diagnostics: counts the results.
        conditions: the conditions of the node.
        folder: the folder of the stored results.
        now: returns the ROS time, ns.
        run_id: returns the run that the robot serves, or an empty string while it is not known.

    Attributes:
        guard: leaves out what other nodes than the right ones say.

    Raises:
        StoreLocked: when another robot_node stores its results in the same folder.
    """

    def __init__(
        self,
        node: Node,
        player: ChunkPlayer,
        diagnostics: RobotDiagnostics,
        conditions: Conditions,
        *,
        folder: Path,
        now: Callable[[], int],
        run_id: Callable[[], str],
    ) -> None:
        self._node = node
        self._player = player
        self._diagnostics = diagnostics
        self._now = now
        self._run_id = run_id
        self._hold_off = HoldOff()
        self._waiting: list[msg.ExecutionResult] = []
        self._waiting_since = 0.0  # steady s
        self._is_heard = False
        self._begun: int | None = None  # the stamp of the chunk that is being executed, ns
        # The newest results without a command by their stamps, each with the steady time of its publication.
        self._remembered: collections.OrderedDict[int, tuple[msg.ExecutionResult, float]] = collections.OrderedDict()
        self._outbox = ReportOutbox(
            node, topics.EXECUTION_RESULT, folder, conditions, key_of=_key_of, on_open=self._on_open
        )
        self._publisher, self.guard = self._outbox.publisher, self._outbox.guard
        self._outbox.open()

    def note_begun(self) -> None:
        """Keeps the result for the case that this process dies while the chunk runs that has just begun, if one has."""
        stamp = self._player.played_stamp
        if stamp is not None and stamp != self._begun:
            message = execution_to_message(self._filled(_interrupted(stamp), end=stamp))
            self._outbox.keep(message, serialize_message(message))
        self._begun = stamp

    def publish(self, *, at_once: bool = False) -> None:
        """Takes the results of the player, and publishes them.

        Args:
            at_once: whether results without a command are published even if nobody listens.
        """
        for result in self._player.take_results():
            self._take(result)
        if not self._waiting:
            return
        if time.monotonic() - self._waiting_since > LONGEST_WAIT:
            self._is_heard = True  # Nobody directs episodes here, so that no result waits from now on.
        if at_once or self._listens():
            waiting, self._waiting = self._waiting, []
            for message in waiting:
                self._publish(message)

    def repeat(self, stamp: int) -> None:
        """Publishes the result of a chunk again, because its trajectory has come again. `stamp` is in ns."""
        message, published = self._remembered.get(stamp, (None, 0.0))
        if message is None:
            self._outbox.send_again(stamp)
        elif time.monotonic() - published >= REPEAT_AFTER:  # The first half of a chunk may be refused before the other.
            self._publish(message)

    def note_reset(self, stamp: int) -> None:
        """Records that an episode is being reset, by an event of this stamp, ns."""
        self._outbox.note_run(self._run_id())
        self._outbox.note_reset(stamp)

    def close(self) -> None:
        """Stores and publishes what waits. Nothing may be published after it."""
        self._outbox.close()

    def _take(self, result: ExecutionResult) -> None:
        self._diagnostics.note_result(result)
        if result.status in (Status.REFUSED, Status.FAULT, Status.INTERRUPTED):
            text = f"chunk {result.status.name} after {count_of(result.num_steps, 'step')} that count: {result.message}"
            line = self._hold_off.line(text, time.monotonic())
            if line is not None:
                self._node.get_logger().warning(line)
        message = execution_to_message(self._filled(result, end=self._now()))
        begun = Key(_BEGUN, DEFAULT_SENDER, result.stamp)
        if result.num_steps or result.commanded.size:
            self._outbox.put(message, lambda: self._outbox.drop(begun))
            return
        self._outbox.drop(begun)
        if not self._waiting:
            self._waiting_since = time.monotonic()
        self._waiting.append(message)

    def _filled(self, result: ExecutionResult, *, end: int) -> ExecutionResult:
        return dataclasses.replace(result, end=end, run_id=self._run_id(), sender=DEFAULT_SENDER)

    def _publish(self, message: msg.ExecutionResult) -> None:
        self._publisher.publish(message)
        self._remembered[time_to_ns(message.header.stamp)] = (message, time.monotonic())
        if len(self._remembered) > NUM_REMEMBERED:
            self._remembered.popitem(last=False)

    def _on_open(self, found: frozenset[Key]) -> None:
        """Takes what an earlier process has stored. A chunk that it has ended did not run when it died."""
        self._player.note_ended(sorted(key.number for key in found))
        for key in found:
            if key.kind == REPORT:
                self._outbox.drop(dataclasses.replace(key, kind=_BEGUN))

    def _listens(self) -> bool:
        """Returns whether the node that publishes episode events listens to results. Once it does, it is not asked."""
        if not self._is_heard and self._publisher.get_subscription_count():
            senders = self._node.get_publishers_info_by_topic(topics.EPISODE_EVENT.name)
            readers = self._node.get_subscriptions_info_by_topic(topics.EXECUTION_RESULT.name)
            self._is_heard = bool({info.node_name for info in senders} & {info.node_name for info in readers})
        return self._is_heard


def _interrupted(stamp: int) -> ExecutionResult:
    return ExecutionResult.nothing(Status.INTERRUPTED, "robot_node died while the chunk ran", stamp=stamp)


def _key_of(message: msg.ExecutionResult) -> Key:
    """Returns the identity of a result. One that is kept while a chunk runs names no commands."""
    kind = _BEGUN if message.status == Status.INTERRUPTED and not message.causes else REPORT
    return Key(kind, message.sender, time_to_ns(message.header.stamp))
