"""Goes through the script of a replay. Each step waits for what came before, never for a time on the wall."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Sequence

from chunk_ppo_ros.core.files.recorded_time import RecordedTime
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.data.bags.bag_messages import MessagePlace
from chunk_ppo_ros.nodes.replay.events import Called, Change, Delivered, Outcome, Told, Version
from chunk_ppo_ros.nodes.replay.players import Players, wait_for
from chunk_ppo_ros.nodes.replay.recorded_run import ReplayError
from chunk_ppo_ros.nodes.replay.script import Await, Call, Start, Step, Tell, time_of

DEATH_PATIENCE = 2.0
"""The time after which an episode that was interrupted is taken as ended by the death of the robot's node, s."""

REPEAT_PERIOD = 10.0
"""The time after which the newest messages are told again, s. A node drops what comes from an unknown sender."""
REPEATED = 16
"""The number of messages that are told again. Each has an identity, by which the nodes know it."""


class Conductor:
    """Conducts a replay.

    Args:
        players: publish and hear.
        clock: the time of the recording, which the nodes read.
        read: returns a message of the recording.
        patience: the longest time without an answer, s.
        check: is called while something is waited for, and raises where a node has ended.
    """

    def __init__(
        self,
        players: Players,
        clock: RecordedTime,
        read: Callable[[MessagePlace], bytes],
        *,
        patience: float,
        check: Callable[[], None],
    ) -> None:
        self._players = players
        self._clock = clock
        self._read = read
        self._patience = patience
        self._check = check
        self._told: collections.deque[Told] = collections.deque(maxlen=REPEATED)

    def run(self, steps: Sequence[Step], on_step: Callable[[int], None] = lambda number: None) -> None:
        """Makes all steps.

        Args:
            steps: the script.
            on_step: is called with the number of steps that are done.

        Raises:
            ReplayError: where the nodes do not say what they said in the recorded run.
        """
        if not wait_for(self._players, self._players.are_heard, patience=self._patience, go_on=self._check):
            raise ReplayError(f"reward_node must listen within {self._patience:g} s, got no node; see its log")
        for number, step in enumerate(steps):
            self._clock.set(time_of(step) / NANOSECONDS)
            match step:
                case Tell(told):
                    self._told.append(told)
                    self._complete(self._players.tell(told, self._read(told.place)), f"a message of {told.topic}")
                case Start(_, episode):
                    self._complete(self._players.call("start_episode"), f"the start of episode {episode}")
                case Call(called):
                    self._call(called)
                case Await(said):
                    self._await(said)
            on_step(number + 1)

    def _call(self, called: Called) -> None:
        self._complete(self._players.call(called.name, called.request), f"the call of {called.name}")

    def _await(self, said: Outcome | Change | Delivered | Version) -> None:
        if isinstance(said, Change) and said.is_interrupted and not self._within(said, DEATH_PATIENCE):
            self._players.renew_robot()
        if not self._within(said, self._patience):
            raise ReplayError(
                f"the nodes must say within {self._patience:g} s what they said in the recorded run "
                f"({_text(said)}), got nothing; see the logs of the nodes, or raise --patience"
            )
        if isinstance(said, Version):
            self._complete(self._players.ask(), f"version {said.version}")  # Both nodes know it then.

    def _within(self, said: Outcome | Change | Delivered | Version, seconds: float) -> bool:
        """Waits for what the nodes say. The newest messages are told again, as the nodes of a run tell them again."""
        end = time.monotonic() + seconds
        while not wait_for(
            self._players, lambda: self._was_said(said), patience=min(seconds, REPEAT_PERIOD), go_on=self._check
        ):
            if time.monotonic() > end:
                return False
            for told in [told for told in self._told if told.key is not None]:
                self._players.tell(told, self._read(told.place))
        return True

    def _was_said(self, said: Outcome | Change | Delivered | Version) -> bool:
        players = self._players
        match said:
            case Outcome():
                return (said.number, said.valid) in players.outcomes
            case Change():
                return players.change >= (said.episode, said.event)
            case Delivered():
                return said.number in players.delivered
            case Version():
                return players.version >= said.version

    def _complete(self, future: object, what: str) -> None:
        is_done = getattr(future, "done")  # noqa: B009 - rclpy's futures have no common type in its releases
        began = time.monotonic()
        if not wait_for(self._players, is_done, patience=self._patience, go_on=self._check):
            raise ReplayError(f"reward_node must answer {what}, got nothing for {time.monotonic() - began:.0f} s")


def _text(said: Outcome | Change | Delivered | Version) -> str:
    match said:
        case Outcome():
            return f"that chunk {said.number} {'counts' if said.valid else 'does not count'}"
        case Change():
            return f"{('the reset', 'the start', 'the end')[said.event]} of episode {said.episode}"
        case Delivered():
            return f"the answer to transition {said.number}"
        case Version():
            return f"version {said.version} of the policy"
