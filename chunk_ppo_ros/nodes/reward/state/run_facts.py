"""Knows from other nodes what the time of a run goes to: whether the robot moves, and whether the trainer updates."""

from __future__ import annotations

import collections
import math
from collections.abc import Callable

from chunk_ppo_msgs import msg
from rclpy.node import Node

from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.subscriptions import subscribe
from chunk_ppo_ros.nodes.reward.run_records import RunRecords
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.rewards.bookkeeping.run_times import Activity
from chunk_ppo_ros.rewards.episodes import Phase

NUM_REMEMBERED = 256
"""The number of results that are remembered. robot_node repeats at most as many."""


class RunFacts:
    """Listens to robot_node and trainer_node.

    Args:
        node: the node that listens.
        records: the records of the run.
        conditions: the conditions of the node.
        add_motion: takes the duration (s) of each chunk and of each segment that a human drove in an episode.

    Attributes:
        human_message: what robot_node says of a person who drives or is to drive, or an empty string.
        is_updating: whether the trainer has the transitions of an update, and has not announced its next version.
    """

    def __init__(
        self, node: Node, records: RunRecords, conditions: Conditions, *, add_motion: Callable[[float], None]
    ) -> None:
        self.human_message = ""
        self.is_updating = False
        self._node = node
        self._records = records
        self._add_motion = add_motion
        self._scripted_moves = False
        self._leaders = msg.TakeoverState.FREE
        # the stamps of the newest results, ns, because a result is repeated until it is answered
        self._known: collections.deque[int] = collections.deque(maxlen=NUM_REMEMBERED)
        subscribe(node, conditions, topics.EXECUTION_RESULT, self._on_result)
        subscribe(node, conditions, topics.SCRIPTED_MOTION, self._on_scripted_motion)
        subscribe(node, conditions, topics.TAKEOVER_STATE, self._on_takeover_state)
        subscribe(node, conditions, topics.TRANSITION_ACK, self._on_ack)

    @property
    def activity(self) -> Activity:
        """What the run does now."""
        episodes = self._records.episodes
        if episodes.phase is Phase.IDLE:
            return Activity.IDLE
        if episodes.phase is Phase.RESETTING:
            return Activity.RESETTING
        if episodes.phase is Phase.READY:
            return Activity.READY
        if episodes.paused:
            return Activity.PAUSED
        return Activity.WAITING_FOR_TRAINER if self.is_updating else Activity.RUNNING

    @property
    def moves(self) -> bool:
        """Whether the robot moves in a way that no ExecutionResult will tell: by a script, or by a human in a reset.

        A person who drives moves the robot, as far as is known here, while the leaders have no torque or are not driven
        at all. Where robot_node has left, nothing moves.
        """
        if not self._node.count_publishers(topics.SCRIPTED_MOTION.name):
            return False
        between = self._records.episodes.phase is not Phase.RUNNING
        follows = self._leaders in (msg.TakeoverState.FREE, msg.TakeoverState.LIMP)
        return self._scripted_moves or (between and self._records.human_drives and follows)

    def note_version(self, version: msg.PolicyVersion) -> None:
        """Takes the announcement of a version of the present run."""
        self.is_updating = not version.final and 0 < version.num_required <= version.num_accepted

    def _on_result(self, message: msg.ExecutionResult) -> None:
        stamp = time_to_ns(message.header.stamp)
        if message.run_id == self._records.run_id and math.isfinite(message.duration) and stamp not in self._known:
            self._known.append(stamp)
            self._add_motion(message.duration)

    def _on_scripted_motion(self, message: msg.ScriptedMotion) -> None:
        self._scripted_moves = message.moves

    def _on_takeover_state(self, message: msg.TakeoverState) -> None:
        self._leaders, self.human_message = message.leaders, message.message

    def _on_ack(self, message: msg.TransitionAck) -> None:
        if (message.run_id, message.sender) == (self._records.run_id, DEFAULT_SENDER):
            self.is_updating = 0 < message.num_required <= message.num_accepted
