"""Plays a person at the robot during a whole session: at the leader arms, and at the services.

The interface package must be on sys.path, by the fixture `interbotix_messages`.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from chunk_ppo_msgs import msg
from rclpy.node import Node
from std_msgs.msg import Bool

from chunk_ppo_ros.nodes.wire import services, topics
from chunk_ppo_ros.nodes.wire.services import Service
from chunk_ppo_ros.robot import aloha
from support.fake_leader import FakeLeader
from support.patience import PATIENCE
from support.spinner import Spinner

RETRY = 5.0  # s, after which a person makes a gesture again
PERIOD = 0.02  # s, of the hand's motion
ARM = slice(0, len(aloha.ARM_JOINTS))
OPEN, CLOSED = 0.8, 0.0
HOME = np.array(aloha.START_POSE)


class Ears(Node):
    """Listens to the graph, and keeps what it hears by topic."""

    def __init__(self) -> None:
        super().__init__("person", use_global_arguments=False)
        self.heard: dict[str, list[Any]] = {}
        for topic in (
            topics.EPISODE_EVENT,
            topics.EPISODE_STATE,
            topics.TRANSITION_ACK,
            topics.TAKEOVER_STATE,
            topics.ACTION_CHUNK,
            topics.CHUNK_OUTCOME,
            topics.TRANSITION,
            topics.OPERATOR_CALL,
        ):
            topic.create_subscription(self, self.heard.setdefault(topic.name, []).append)
        self.stop_publisher = topics.EMERGENCY_STOP.create_publisher(self)


class Person(Spinner):
    """Does what a person at the robot does.

    Args:
        leaders: the leader arms, by side.
    """

    def __init__(self, leaders: Mapping[str, FakeLeader]) -> None:
        self.ears = Ears()
        self.leaders = leaders
        self._answers: list[str] = []
        super().__init__(self.ears)

    # What the person sees.

    @property
    def state(self) -> msg.EpisodeState:
        """The newest state of the episode, or an empty one before any."""
        heard = self.ears.heard["episode_state"]
        return heard[-1] if heard else msg.EpisodeState()

    @property
    def driver(self) -> msg.TakeoverState:
        """The newest state of who drives, or an empty one before any."""
        heard = self.ears.heard["takeover_state"]
        return heard[-1] if heard else msg.TakeoverState()

    def outcomes(self, episode: int, *, human: bool | None = None) -> list[msg.ChunkOutcome]:
        """Returns how the chunks of an episode ended, those of a human or of the policy alone where `human` says so."""
        found = [each for each in self.ears.heard["chunk_outcome"] if each.episode == episode]
        return [each for each in found if human is None or each.execution.human == human]

    def ended(self, episode: int) -> msg.EpisodeEvent | None:
        """Returns the event of the end of an episode, or None before it."""
        ends = [each for each in self.ears.heard["episode_event"] if each.event == msg.EpisodeEvent.ENDED]
        return next((each for each in ends if each.episode == episode), None)

    def seen(self) -> str:
        state, driver = self.state, self.driver
        return (
            f"episode {state.episode} in phase {state.phase}, waits for {state.waits_for!r} by {state.command!r}; "
            f"leaders {driver.leaders}: {driver.message!r}; answers {self._answers[-3:]}"
        )

    # What the person does.

    def call(self, service: Service, **request: Any) -> Any:
        """Calls a service, and returns its answer."""
        future = self._send(service, request)
        self.until(future.done, timeout=PATIENCE)
        answer = future.result()
        self._answers.append(f"{service.name}: {answer.success}, {answer.message}")
        return answer

    def _send(self, service: Service, request: Mapping[str, Any]) -> Any:
        """Sends a request by a new client, and returns the future answer."""
        client = service.create_client(self.ears)
        self.until(client.service_is_ready, timeout=PATIENCE)
        return client.call_async(service.service_type.Request(**request))

    def until_done(self, service: Service, **request: Any) -> None:
        """Calls a service until it succeeds, and calls it again where no answer comes for a while.

        A service drops its answer to a client that it has not discovered yet, and the client does not know that.
        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            future = self._send(service, request)
            again = time.monotonic() + 2 * RETRY
            while not future.done() and time.monotonic() < again:
                self.spin(PERIOD)
            if future.done() and future.result().success:
                return
            self.spin(0.3)
        raise AssertionError(f"{service.name} did not succeed within {PATIENCE} s; {self.seen()}")

    def squeeze(self, opening: float, *, seconds: float = 0.25) -> None:
        """Moves the grippers of both leaders, and waits."""
        for leader in self.leaders.values():
            leader.squeeze(opening)
        self.spin(seconds)

    def grip(self) -> None:
        """Waits until the leaders hold and ask for a grip, and closes both grippers until they go limp."""
        self.until(lambda: "close them" in self.driver.message, timeout=PATIENCE)
        self._gesture((OPEN, CLOSED), lambda: self.driver.leaders == msg.TakeoverState.LIMP)
        self.squeeze(OPEN)

    def _gesture(self, openings: Sequence[float], has_worked: Callable[[], bool]) -> None:
        """Moves the grippers of both leaders through some openings until it has worked.

        A person does it again where nothing happens for five seconds. A busy machine may see a gesture too slowly.
        """
        tries = round(PATIENCE / RETRY)
        for _ in range(tries):
            for opening in openings:
                if not has_worked():
                    self.squeeze(opening)
            deadline = time.monotonic() + RETRY
            while not has_worked() and time.monotonic() < deadline:
                self.spin(PERIOD)
            if has_worked():
                return
        raise AssertionError(f"a gesture was made {tries} times in vain; {self.seen()}")

    def lead(self, pose: np.ndarray, *, seconds: float) -> None:
        """Moves both limp leaders by hand along a straight line to a pose, float [14]."""
        starts = {side: leader.pose for side, leader in self.leaders.items()}
        began = time.monotonic()
        while (part := (time.monotonic() - began) / seconds) < 1.0:
            self._put({s: (1.0 - part) * start + part * pose[aloha.side_slice(s)][ARM] for s, start in starts.items()})
            self.spin(PERIOD)
        self._put({side: pose[aloha.side_slice(side)][ARM] for side in starts})

    def _put(self, poses: Mapping[str, np.ndarray]) -> None:
        for side, pose in poses.items():
            self.leaders[side].put(pose)

    def reset(self) -> None:
        """Teleoperates a reset: takes the leaders, brings the robot near its start, squeezes both grippers twice."""
        self.grip()
        away = HOME.copy()
        away[[0, 7]] += 0.1  # rad, both waists
        self.lead(away, seconds=1.0)
        twice = (CLOSED, OPEN, CLOSED, OPEN)
        self._gesture(twice, lambda: self.state.phase == msg.EpisodeState.READY)

    def play(self, *, chunks: int = 1) -> int:
        """Resets the robot, starts the episode, waits for some chunks that count, and returns its number."""
        self.until(lambda: self.state.phase == msg.EpisodeState.RESETTING, timeout=PATIENCE)
        episode = int(self.state.episode)
        self.reset()
        assert self.call(services.START_EPISODE).success
        self.until_counted(episode, chunks)
        return episode

    def until_counted(self, episode: int, chunks: int, *, human: bool = False) -> None:
        """Waits until as many more chunks of the policy, or of the human, count."""

        def counted() -> int:
            return sum(each.valid for each in self.outcomes(episode, human=human))

        wanted = counted() + chunks
        self.until(lambda: counted() >= wanted, timeout=PATIENCE)

    def until_accepted(self, episode: int) -> None:
        """Waits until the trainer has accepted each chunk of the episode that counts."""

        def accepted() -> set[int]:
            acks = self.ears.heard["transition_ack"]
            return {each.sequence_number for each in acks if each.status == msg.TransitionAck.ACCEPTED}

        counted = {each.sequence_number for each in self.outcomes(episode) if each.valid}
        self.until(lambda: counted <= accepted(), timeout=PATIENCE)

    def mark(self, episode: int, outcome: int) -> None:
        """Ends the episode, and waits for its end."""
        assert self.call(services.END_EPISODE, outcome=outcome).success
        self.until(lambda: self.ended(episode) is not None, timeout=PATIENCE)

    def hit_emergency_stop(self, episode: int) -> None:
        """Stops the robot by the topic, and waits for the end of the episode."""
        self.until(lambda: bool(self.ears.stop_publisher.get_subscription_count()), timeout=PATIENCE)
        self.ears.stop_publisher.publish(Bool(data=True))
        self.until(lambda: self.ended(episode) is not None, timeout=PATIENCE)

    def take_over_in_a_chunk(self, episode: int) -> None:
        """Takes over until a chunk was cut by it, each time at another moment of a chunk.

        A call may arrive before the first step of a chunk, or when the chunk has ended.
        """
        delays = itertools.cycle((0.05, 0.1, 0.0, 0.2))
        while not any(each.intervened for each in self.outcomes(episode)):
            sent = len(self.ears.heard["action_chunk"])
            self.until(lambda n=sent: len(self.ears.heard["action_chunk"]) > n, timeout=PATIENCE)  # type: ignore[misc]
            self.spin(next(delays))
            assert self.call(services.TAKEOVER, data=True).success
            self.spin(0.5)
            if not any(each.intervened for each in self.outcomes(episode)):
                assert self.call(services.TAKEOVER, data=False).success
