"""Tests the client of start_episode against a service whose every answer the test gives."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from rclpy.task import Future

from chunk_ppo_ros.nodes.sim import episode_starter
from chunk_ppo_ros.nodes.sim.episode_starter import ANSWER_TIMEOUT, RETRY_PERIOD, EpisodeStarter


class Node:
    """Stands for a node, its logger and its client. `tick` is what its timer calls."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.requests: list[Future[Any]] = []
        self.removed: list[Future[Any]] = []
        self.is_served = True

    def get_logger(self) -> Node:
        return self

    def info(self, text: str) -> None:
        self.lines.append(text)

    def create_client(self, kind: type, name: str) -> Node:
        assert name == "reward_node/start_episode"
        return self

    def create_timer(self, period: float, tick: Callable[[], None], **_: Any) -> None:
        assert period == RETRY_PERIOD
        self.tick = tick

    def service_is_ready(self) -> bool:
        return self.is_served

    def call_async(self, request: Any) -> Future[Any]:
        self.requests.append(Future())
        return self.requests[-1]

    def remove_pending_request(self, request: Future[Any]) -> None:
        self.removed.append(request)

    def answer(self, number: int, *, success: bool, message: str = "") -> None:
        """Answers a request. Without an executor, the test calls what waits for the answer."""
        future = self.requests[number]
        future.set_result(SimpleNamespace(success=success, message=message))


class Clock:
    """Returns a steady clock that the test sets, s."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(episode_starter, "time", clock)
    return clock


def test_it_asks_once_and_stops_when_the_episode_starts(clock: Clock) -> None:
    node = Node()
    starter = EpisodeStarter(node)  # type: ignore[arg-type]
    node.tick()
    assert node.requests == []  # The scene is not ready.
    starter.request()
    clock.now += 0.9 * ANSWER_TIMEOUT
    node.tick()
    assert (len(node.requests), node.removed, node.lines) == (1, [], [])
    node.answer(0, success=True)
    node.tick()
    assert len(node.requests) == 1


def test_it_asks_again_after_a_refusal_and_logs_each_refusal_once(clock: Clock) -> None:
    node = Node()
    starter = EpisodeStarter(node)  # type: ignore[arg-type]
    starter.request()
    for number in range(2):
        node.answer(number, success=False, message="the scene is not wanted")
        node.tick()
    assert node.lines == ["start_episode was refused: the scene is not wanted"]
    node.answer(2, success=True)
    starter.request()
    node.answer(3, success=False, message="the scene is not wanted")  # This is the next episode.
    assert node.lines == 2 * ["start_episode was refused: the scene is not wanted"]


def test_it_asks_again_where_no_answer_comes(clock: Clock) -> None:
    node = Node()
    node.is_served = False
    starter = EpisodeStarter(node)  # type: ignore[arg-type]
    starter.request()
    node.tick()
    assert node.lines == ["waiting for the service start_episode of reward_node"]
    assert node.requests == []
    node.is_served = True
    node.tick()
    clock.now += ANSWER_TIMEOUT
    node.tick()
    assert node.lines[1:] == [f"start_episode has not answered for {ANSWER_TIMEOUT} s; asking again"]
    assert (len(node.requests), node.removed) == (2, node.requests[:1])
    node.answer(0, success=True)  # The first answer comes after all, and no longer counts.
    clock.now += ANSWER_TIMEOUT
    node.tick()
    assert len(node.requests) == 3


def test_a_new_request_or_a_cancellation_drops_the_request_before(clock: Clock) -> None:
    node = Node()
    starter = EpisodeStarter(node)  # type: ignore[arg-type]
    starter.request()
    starter.request()
    assert (len(node.requests), node.removed) == (2, node.requests[:1])
    node.answer(0, success=True)
    starter.cancel()
    assert node.removed == node.requests
    node.answer(1, success=False, message="too late")
    node.tick()
    assert (len(node.requests), node.lines) == (2, [])


def test_it_waits_for_the_robot(clock: Clock) -> None:
    node, ready = Node(), [False]
    starter = EpisodeStarter(node, is_robot_ready=lambda: ready[0])  # type: ignore[arg-type]
    starter.request()
    node.tick()
    assert node.requests == []
    assert node.lines == ["waiting for robot_node, which prepares the drivers of the arms"]
    ready[0] = True
    node.tick()
    assert len(node.requests) == 1
