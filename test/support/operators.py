"""Plays operators of a recorded run: one who acts at given outcomes, and one who acts at random moments."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
from chunk_ppo_msgs import msg
from chunk_ppo_msgs.srv import EndEpisode
from rclpy.context import Context
from rclpy.node import Node
from std_msgs.msg import Float32
from std_srvs.srv import SetBool

from chunk_ppo_ros.nodes.wire import services, topics
from chunk_ppo_ros.nodes.wire.sensors.joints import leader_message
from chunk_ppo_ros.robot import aloha, grippers

_CONVENTION = grippers.GRIPPER_CONVENTIONS["openpi"]
_LEADER_PERIOD = 0.02  # s
_PAUSE, _TAKEOVER = 0.3, 0.6  # s of wall time; a simulation goes on meanwhile as fast as it can


class Operator(Node):
    """Can do all that an operator does, and hears the outcomes of chunks.

    Args:
        context: a context of ROS, in the domain of the graph.

    Attributes:
        num_outcomes: the number of outcomes that were heard.
        acts: what was done, in words.
    """

    def __init__(self, context: Context) -> None:
        super().__init__("operator", context=context, use_global_arguments=False)
        self.num_outcomes = 0
        self.acts: list[str] = []
        self._feedback = topics.HUMAN_FEEDBACK.create_publisher(self)
        self._end = services.END_EPISODE.create_client(self)
        self._pause = services.PAUSE.create_client(self)
        self._takeover = services.TAKEOVER.create_client(self)
        self._leaders = {side: topics.LEADER_STATES[side].create_publisher(self) for side in aloha.SIDES}
        self._drives = False
        self.create_timer(_LEADER_PERIOD, self._hold_leaders)
        topics.CHUNK_OUTCOME.create_subscription(self, self._on_outcome)

    def reward(self, value: float) -> None:
        """Gives feedback."""
        self.acts.append(f"feedback {value:g}")
        self._feedback.publish(Float32(data=value))

    def mark(self, outcome: int) -> None:
        """Ends the episode, as a success, as a failure or by discarding it."""
        self.acts.append(f"mark {outcome}")
        self._end.call_async(EndEpisode.Request(outcome=outcome))

    def pause(self) -> None:
        """Pauses, and goes on a little later."""
        self.acts.append("pause")
        self._pause.call_async(SetBool.Request(data=True))
        self.later(_PAUSE, lambda: self._pause.call_async(SetBool.Request(data=False)))

    def take_over(self) -> None:
        """Drives the robot by leaders that are held at the start pose, and hands it back a little later."""
        if self._drives:
            return
        self.acts.append("takeover")
        self._drives = True
        self._takeover.call_async(SetBool.Request(data=True))
        self.later(_TAKEOVER, self._hand_back)

    def later(self, seconds: float, act: Callable[[], Any]) -> None:
        """Does something after some time of the wall."""

        def fire() -> None:
            timer.cancel()
            act()

        timer = self.create_timer(seconds, fire)

    def _hand_back(self) -> None:
        self._takeover.call_async(SetBool.Request(data=False))
        self._drives = False

    def _hold_leaders(self) -> None:
        if self._drives:
            pose = np.asarray(aloha.START_POSE)
            for side, publisher in self._leaders.items():
                publisher.publish(leader_message(pose[aloha.side_slice(side)], stamp=1, convention=_CONVENTION))

    def _on_outcome(self, message: msg.ChunkOutcome) -> None:
        self.num_outcomes += 1


class OperatorWithAPlan(Operator):
    """Acts at some numbers of outcomes, at once, so that what it does reaches reward_node beside the next chunk."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._plan: dict[int, Callable[[], None]] = {
            2: lambda: self.reward(0.25),
            4: lambda: self.mark(msg.EpisodeEvent.SUCCESS),
            7: lambda: self.mark(msg.EpisodeEvent.DISCARDED),
            9: self.pause,
            10: lambda: self.reward(-0.5),
            12: lambda: self.mark(msg.EpisodeEvent.FAILURE),
        }

    def _on_outcome(self, message: msg.ChunkOutcome) -> None:
        super()._on_outcome(message)
        self._plan.pop(self.num_outcomes, lambda: None)()


class RandomOperator(Operator):
    """Acts at random, mostly within a few milliseconds of the end of a chunk: when its result or its reward is known.

    Args:
        context: a context of ROS, in the domain of the graph.
        seed: the seed of what it does.
        most_discards: the number of episodes that it discards at most, so that the run comes to its end.
    """

    def __init__(self, context: Context, *, seed: int, most_discards: int = 4) -> None:
        super().__init__(context)
        self._chance = random.Random(seed)
        self._discards_left = most_discards
        for topic in (topics.EXECUTION_RESULT, topics.TASK_REWARD, topics.CHUNK_OUTCOME, topics.TRANSITION_ACK):
            topic.create_subscription(self, self._on_moment)

    def _on_moment(self, message: object) -> None:
        if self._chance.random() < 0.12:
            delay = self._chance.choice((0.0, 0.0, 0.001, 0.003, self._chance.uniform(0.0, 0.05)))
            act = self._draw()
            if delay:
                self.later(delay, act)
            else:
                act()

    def _draw(self) -> Callable[[], None]:
        kind = self._chance.choices(
            ("reward", "success", "failure", "discard", "pause", "takeover"), (10, 2, 2, 2, 2, 1)
        )
        match kind[0]:
            case "success":
                return lambda: self.mark(msg.EpisodeEvent.SUCCESS)
            case "discard" if self._discards_left:
                self._discards_left -= 1
                return lambda: self.mark(msg.EpisodeEvent.DISCARDED)
            case "failure":
                return lambda: self.mark(msg.EpisodeEvent.FAILURE)
            case "pause":
                return self.pause
            case "takeover":
                return self.take_over
        value = round(self._chance.uniform(-1.0, 1.0), 3)
        return lambda: self.reward(value)
