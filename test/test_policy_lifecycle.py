"""Tests that policy_node goes on with the same run, whenever an operator leads it through its lifecycle.

Each test is made twice: the node is deactivated and activated, or cleaned up and configured in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chunk_ppo_msgs import msg
from std_msgs.msg import Bool

from chunk_ppo_ros.nodes.policy import actor_store, policy_node
from chunk_ppo_ros.nodes.wire import conversions
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from support.fake_actor import FakeActor, FakeCheckpoint
from support.lifecycle_operator import LifecycleOperator
from support.node_harness import Graph, graph_starter
from support.policy_peers import PolicyPeers

pytestmark = pytest.mark.graph

EVENT = msg.EpisodeEvent


class Led:
    """policy_node, its peers, and an operator who leads it."""

    def __init__(self, graph: Graph, *, cleans_up: bool) -> None:
        self.graph, self.node = graph, graph.node
        self.peer: PolicyPeers = graph.peer  # type: ignore[assignment]
        self._cleans_up = cleans_up
        self._operator = LifecycleOperator(graph.peer, "policy_node", graph.until)

    def ask(self, *transitions: str) -> list[bool]:
        return self._operator.ask(*transitions)

    def lead(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Deactivates the node, does something, and activates the node again."""
        down = ("deactivate", "cleanup") if self._cleans_up else ("deactivate",)
        assert all(self.ask(*down))
        meanwhile()
        self.graph.spin(0.1)
        num_chunks = len(self.peer.chunks)
        if self._cleans_up:
            assert self.ask("configure") == [True]
            self.graph.until(lambda: self.node.is_ready)
        self.graph.spin(0.1)
        assert not self.node.is_active
        assert len(self.peer.chunks) == num_chunks
        assert self.ask("activate", "activate") == [True, False]

    def begin(self) -> None:
        """Announces version 0 and starts episode 0, in which the policy sends its first chunk."""
        self.peer.announce()
        self.peer.event(EVENT.STARTED)
        self.graph.until(lambda: self.node.is_active)
        self.peer.sense(1)
        self.await_chunks(1)

    def await_chunks(self, count: int) -> msg.ActionChunk:
        """Returns the newest of some chunks, when they have arrived and no other follows."""
        self.graph.until(lambda: len(self.peer.chunks) >= count)
        self.graph.spin(0.05)
        assert len(self.peer.chunks) == count
        return self.peer.chunks[-1]

    def settle(self, *, end: int, **fields: object) -> None:
        self.peer.settle(self.peer.chunks[-1], end=end, **fields)


def numbers(chunk: msg.ActionChunk) -> tuple[int, int, int, int]:
    """Returns the sequence number, the episode, the number within it, and the policy version of a chunk."""
    return chunk.sequence_number, chunk.episode, chunk.chunk, chunk.policy_version


@pytest.fixture(params=[False, True], ids=["deactivated", "cleaned up"])
def led(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Led]:
    monkeypatch.setattr(actor_store, "Actor", FakeActor)
    monkeypatch.setattr(actor_store, "Checkpoint", FakeCheckpoint)
    FakeActor.gate.set()
    FakeActor.invalid, FakeActor.num_steps_asked = (), 16
    settings = {"max_episode_chunks": 3}
    with graph_starter(tmp_path, policy_node.PolicyNode, lambda: PolicyPeers(tmp_path), capfd) as start:
        yield Led(start(env=settings), cleans_up=request.param)


def test_before_an_episode(led: Led) -> None:
    led.peer.announce()
    led.graph.until(lambda: led.node.is_active)
    led.lead()
    led.peer.event(EVENT.STARTED)
    led.peer.sense(1)
    assert numbers(led.await_chunks(1)) == (0, 0, 0, 0)


def test_while_an_episode_is_reset_and_started(led: Led) -> None:
    led.begin()
    led.settle(end=2, terminated=True)
    led.peer.event(EVENT.ENDED, outcome=EVENT.SUCCESS)
    led.peer.event(EVENT.RESET, episode=1)
    led.lead(lambda: led.peer.event(EVENT.STARTED, episode=1, stamp=3))
    led.peer.sense(4)
    assert numbers(led.await_chunks(2)) == (1, 1, 0, 0)


def test_while_a_chunk_runs_which_is_waited_for(led: Led) -> None:
    led.begin()
    led.lead()
    led.graph.spin(0.2)
    assert len(led.peer.chunks) == 1
    led.settle(end=2, num_steps=16)
    assert numbers(led.await_chunks(2)) == (1, 0, 1, 0)


def test_a_chunk_that_ends_meanwhile_is_counted(led: Led) -> None:
    """Episodes have 48 steps. After 16, 15 and 15 of them, two are left for the chunk after these."""
    led.begin()
    led.lead(lambda: led.settle(end=2, num_steps=16))
    for number, end in ((1, 3), (2, 4)):
        led.await_chunks(number + 1)
        led.settle(end=end, num_steps=15)
    led.await_chunks(4)
    left = led.peer.heard["robot/left/joint_trajectory"]
    led.graph.until(lambda: len(left) == 4)
    assert [len(half.points) for half in left] == [16, 16, 16, 2]


def test_a_time_limit_meanwhile_gets_its_bootstrap(led: Led) -> None:
    led.begin()
    led.lead(lambda: led.settle(end=2, truncated=True))
    led.graph.until(lambda: led.peer.bootstraps)
    assert led.peer.bootstraps[0].sequence_number == 0
    led.graph.spin(0.2)
    assert len(led.peer.chunks) == len(led.peer.bootstraps) == 1


def test_a_rollout_that_is_full_stays_full_until_the_next_version(led: Led) -> None:
    led.begin()
    for number in range(1, 4):
        led.settle(end=number + 1)
        led.await_chunks(number + 1)
    led.lead(lambda: led.settle(end=5))
    led.graph.until(lambda: led.peer.bootstraps)
    assert led.peer.bootstraps[0].sequence_number == 3
    for number in range(4):
        led.peer.acknowledge(number, number + 1)
    led.lead()
    led.graph.spin(0.2)
    assert len(led.peer.chunks) == 4
    led.lead(lambda: led.peer.announce(1, next_sequence_number=4))
    assert numbers(led.await_chunks(5)) == (4, 0, 4, 1)


def test_an_episode_that_is_discarded_and_paused_meanwhile(led: Led) -> None:
    led.begin()

    def direct() -> None:
        led.peer.event(EVENT.ENDED, outcome=EVENT.DISCARDED)
        led.settle(end=2, valid=False)
        led.peer.event(EVENT.RESET, episode=1)
        led.peer.event(EVENT.STARTED, episode=1, stamp=3)
        led.peer.event(EVENT.PAUSED, episode=1, stamp=3)

    led.lead(direct)
    led.peer.sense(4)
    led.graph.spin(0.2)
    assert len(led.peer.chunks) == 1
    led.peer.event(EVENT.RESUMED, episode=1, stamp=5)
    led.peer.sense(6)
    assert numbers(led.await_chunks(2)) == (1, 1, 0, 0)


def test_what_a_human_drives_meanwhile_becomes_a_chunk(led: Led) -> None:
    led.begin()

    def drive() -> None:
        led.peer.take_over(stamp=3)
        led.settle(end=4, intervened=True)
        led.graph.spin(0.1)
        led.peer.take_over(stamp=10, segment=10)
        led.peer.drive(10, num_steps=16)

    led.lead(drive)
    led.graph.until(lambda: led.peer.bootstraps)
    driven = led.await_chunks(2)
    assert (driven.human, time_to_ns(driven.header.stamp)) == (True, 10)
    led.lead(lambda: led.peer.take_over(stamp=20, human=False, segment=10))
    led.settle(end=16, sense=False)
    led.peer.sense(21)
    assert numbers(led.await_chunks(3)) == (2, 0, 4, 0)
    assert not led.peer.chunks[-1].human


def test_a_sample_that_is_being_made_gets_its_number_once(led: Led) -> None:
    led.begin()
    FakeActor.gate.clear()
    led.settle(end=2)
    led.graph.until(lambda: led.node.is_working)
    led.lead(FakeActor.gate.set)
    led.peer.sense(3)
    assert numbers(led.await_chunks(2)) == (1, 0, 1, 0)
    assert conversions.chunk_from_message(led.peer.chunks[-1]).action_tokens[0] == 1


def test_the_policy_waits_while_robot_node_is_not_active(led: Led) -> None:
    led.begin()
    led.lead(lambda: led.peer.robot_active.publish(Bool(data=False)))
    led.settle(end=2)
    led.graph.spin(0.2)
    assert (len(led.peer.chunks), led.node.activity()) == (1, "robot_node is not active")
    led.peer.robot_active.publish(Bool(data=True))
    assert numbers(led.await_chunks(2)) == (1, 0, 1, 0)


def test_a_cleanup_while_weights_are_loaded(led: Led) -> None:
    led.begin()
    assert led.ask("deactivate", "cleanup", "configure", "cleanup", "configure") == [True] * 5
    led.graph.until(lambda: led.node.is_ready)
    assert led.ask("cleanup") == [True]
    assert led.ask("activate") == [False]
    assert led.ask("configure") == [True]
    led.graph.until(lambda: led.node.is_ready)
    assert led.ask("activate") == [True]
    led.settle(end=2)
    assert numbers(led.await_chunks(2)) == (1, 0, 1, 0)
