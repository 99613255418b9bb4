"""Hands over to reward_node what the recorded one has handled, and lets trainer_node answer it in the recorded order.

No step waits for a time. reward_node has handled a thing before it gets the next one. trainer_node is told the next
transition, or the next end of an episode, when it has said that it has handled what came before.
"""

from __future__ import annotations

import collections
import functools
import time
from collections.abc import Callable
from typing import Any, Protocol

from chunk_ppo_msgs import msg
from rclpy.serialization import deserialize_message

from chunk_ppo_ros.data.bags.bag_messages import MessagePlace
from chunk_ppo_ros.nodes.common.inputs.handled_inputs import RECORDED_ONCE, SAVED_VERSION
from chunk_ppo_ros.nodes.replay.handled import Handled, ReplayError
from chunk_ppo_ros.nodes.replay.recorded_run import RecordedRun
from chunk_ppo_ros.nodes.wire import topics

Step = tuple[str, int]
"""What trainer_node handles: the name, which is `transition`, `episode_event` or `saved_version`, and the number."""


class Referee(Protocol):
    """The reward_node of a replay, such as `ReplayedRewardNode`."""

    transitions: dict[int, msg.Transition]
    ends: dict[int, msg.EpisodeEvent]

    def hand_over(self, recorded: Handled, raw: bytes) -> None:
        """Handles what the recorded node has handled."""

    def send(self, topic: topics.Topic, message: Any) -> None:
        """Publishes a message that the node wanted to publish."""


class Trainer(Protocol):
    """What is heard of the trainer_node of a replay, such as `TrainerLink`."""

    answered: set[int]
    ended: set[int]
    version: int

    def wait(
        self,
        is_done: Callable[[], bool],
        *,
        patience: float,
        go_on: Callable[[], bool],
        tell: Callable[[], None] = lambda: None,
    ) -> bool:
        """Tells something, and returns whether trainer_node has done it."""


class Conductor:
    """Conducts a replay.

    Args:
        recorded: the recorded run.
        reward: reward_node.
        trainer: hears trainer_node.
        read: returns a message of the recording.
        patience: the longest time without an answer, s.
        go_on: returns whether trainer_node runs, which it does not after the end of the run, and raises an error where
            it has failed.
    """

    def __init__(
        self,
        recorded: RecordedRun,
        reward: Referee,
        trainer: Trainer,
        read: Callable[[MessagePlace], bytes],
        *,
        patience: float,
        go_on: Callable[[], bool],
    ) -> None:
        self._recorded = recorded
        self._reward = reward
        self._trainer = trainer
        self._read = read
        self._patience = patience
        self._go_on = go_on
        self._steps = collections.deque((one.name, one.number) for one in recorded.answers)
        self._num_open = collections.Counter(self._steps)
        self._version = -1  # the newest version that reward_node has heard of

    def run(self, on_input: Callable[[int], None] = lambda number: None) -> None:
        """Replays the run.

        Args:
            on_input: is called with the number of inputs that reward_node has handled.

        Raises:
            ReplayError: where the recording lacks something, or the nodes do not do what the recorded ones did.
        """
        for number, one in enumerate(self._recorded.inputs):
            self._let_trainer_answer(one)
            self._reward.hand_over(one, self._content(one))
            on_input(number + 1)
        while self._steps and self._is_there(self._steps[0]):
            self._let_trainer_handle(self._next_step())

    def _content(self, one: Handled) -> bytes:
        if one.name not in RECORDED_ONCE:
            return one.content
        place = self._recorded.places.get((one.name, one.number))
        if place is None:
            raise ReplayError(
                f"a recording must have {one.name} {one.number}, which reward_node has handled, got none; "
                "recorder_node was not there or had lost it, so that the run cannot be replayed"
            )
        return self._read(place)

    def _let_trainer_answer(self, one: Handled) -> None:
        """Lets trainer_node do what it had done before reward_node heard of it, where that is what is handled next."""
        match one.name:
            case topics.TRANSITION_ACK.name:
                ack = deserialize_message(one.content, msg.TransitionAck)
                if ack.status != msg.TransitionAck.RETRY and ack.run_id == self._recorded.run_id:
                    self._let_trainer_come_to((topics.TRANSITION.name, ack.sequence_number))
            case topics.POLICY_VERSION.name:
                version = deserialize_message(one.content, msg.PolicyVersion).version
                if version > self._version:  # It is announced again with each transition, and by a new process.
                    self._version = version
                    self._let_trainer_come_to((SAVED_VERSION, version))

    def _let_trainer_come_to(self, step: Step) -> None:
        """Lets trainer_node handle all that it had handled up to a step, which it may have done without telling so."""
        if self._num_open[step]:
            while (before := self._next_step()) != step:
                self._let_trainer_handle(before)
        self._let_trainer_handle(step)

    def _next_step(self) -> Step:
        step = self._steps.popleft()
        self._num_open[step] -= 1
        return step

    def _let_trainer_handle(self, step: Step) -> None:
        name, number = step
        if not self._go_on():
            return
        if not self._is_there(step):
            raise ReplayError(
                f"reward_node must send what it sent in the recorded run ({name} {number}), but it did not; the replay "
                "ends here"
            )
        trainer, reward, send = self._trainer, self._reward, self._reward.send
        match name:
            case topics.TRANSITION.name:
                transition = reward.transitions.pop(number, None)
                tell = functools.partial(send, topics.TRANSITION, transition)
                self._wait(lambda: number in trainer.answered, f"the answer to transition {number}", tell)
            case topics.EPISODE_EVENT.name:
                tell = functools.partial(send, topics.EPISODE_EVENT, reward.ends[number])
                self._wait(lambda: number in trainer.ended, f"that it has heard of the end of episode {number}", tell)
            case _:
                tell = functools.partial(self._send_transitions_before, number)
                self._wait(lambda: trainer.version >= number, f"version {number} of the policy", tell)

    def _send_transitions_before(self, version: int) -> None:
        """Sends the transitions that a version may be made of, and that trainer_node had taken without telling so.

        It was killed then, and found them on its disk when it was started anew. It refuses others, now as then.
        """
        for transition in self._reward.transitions.values():
            if transition.chunk.policy_version < version:
                self._reward.send(topics.TRANSITION, transition)

    def _is_there(self, step: Step) -> bool:
        """Returns whether reward_node has sent what trainer_node handles, or trainer_node has handled it."""
        (name, number), trainer, reward = step, self._trainer, self._reward
        match name:
            case topics.TRANSITION.name:
                return number in reward.transitions or number in trainer.answered
            case topics.EPISODE_EVENT.name:
                return number in reward.ends
        return True

    def _wait(self, is_done: Callable[[], bool], what: str, tell: Callable[[], None] = lambda: None) -> None:
        began = time.monotonic()
        if not self._trainer.wait(is_done, patience=self._patience, go_on=self._go_on, tell=tell) and self._go_on():
            raise ReplayError(
                f"trainer_node must say within {self._patience:g} s what it said in the recorded run ({what}), got "
                f"nothing for {time.monotonic() - began:.0f} s; see its log, or raise --patience"
            )
