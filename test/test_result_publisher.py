"""Tests that no result is lost while a listener is still being discovered, and that the log is not flooded."""

from __future__ import annotations

import pytest

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.nodes.common.hold_off import HOLD_OFF, MAX_KINDS, HoldOff
from chunk_ppo_ros.nodes.robot import result_publisher
from chunk_ppo_ros.nodes.robot.result_publisher import LONGEST_WAIT, ResultPublisher
from chunk_ppo_ros.nodes.robot.robot_diagnostics import RobotDiagnostics
from chunk_ppo_ros.robot.gate.trust_rule import TrustRule
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer
from support.fake_node import FakeNode, SteadyClock


class Robot:
    """The results of a player, and who listens to them."""

    def __init__(self, clock: SteadyClock) -> None:
        self.node, self.clock = FakeNode(), clock
        trust = TrustRule.of(RobotConfig(), simulated=True)
        self.player = ChunkPlayer(RobotConfig(), state_timeout=0.5, states_on_demand=False, trust=trust)
        self.results = ResultPublisher(
            self.node,  # type: ignore[arg-type]
            self.player,
            RobotDiagnostics(),
            now=lambda: 7,
            run_id=lambda: "run",
        )

    def refuse(self, stamp: int, reason: str = "it is too far") -> list[int]:
        """Refuses a chunk, and returns the stamps of the results that are published."""
        self.player.refuse(stamp, reason)
        self.results.publish()
        return self.take()

    def take(self) -> list[int]:
        return [message.header.stamp.nanosec for message in self.node.published("execution_result")]


@pytest.fixture
def robot(monkeypatch: pytest.MonkeyPatch) -> Robot:
    clock = SteadyClock()
    monkeypatch.setattr(result_publisher, "time", clock)
    return Robot(clock)


def test_a_result_waits_until_reward_node_listens(robot: Robot) -> None:
    robot.node.present["episode_event"] = ["reward_node"]
    robot.node.listening["execution_result"] = ["recorder_node"]
    assert robot.refuse(1) == robot.refuse(2) == []
    robot.node.listening["execution_result"].append("reward_node")
    robot.results.publish()
    assert robot.take() == [1, 2]
    robot.node.listening["execution_result"] = []  # It may be started anew, and nobody waits for that.
    assert robot.refuse(3) == [3]


def test_a_result_does_not_wait_for_long(robot: Robot) -> None:
    assert robot.refuse(1) == []  # Nobody publishes episode events.
    robot.clock.now += LONGEST_WAIT + 0.1
    robot.results.publish()
    assert robot.take() == [1] and robot.refuse(2) == [2]


def test_a_result_does_not_wait_at_the_end(robot: Robot) -> None:
    assert robot.refuse(1) == []
    robot.results.publish(at_once=True)
    assert robot.take() == [1]


def test_chunks_that_are_refused_one_after_another_are_counted_in_one_line(robot: Robot) -> None:
    for number in range(1, 100):
        robot.refuse(number, f"an age of {number}.5 s")
    robot.refuse(100, "paused")
    texts = [text for _, text in robot.node.take_lines()]
    assert texts == [
        "chunk REFUSED after 0 steps that count: an age of 1.5 s",
        "chunk REFUSED after 0 steps that count: paused",
    ]
    robot.clock.now += HOLD_OFF
    robot.refuse(101, "an age of 0.1 s")
    assert robot.node.take_lines()[0][1].endswith("an age of 0.1 s (98 more like it before)")


def test_many_kinds_of_messages_are_not_remembered_for_good() -> None:
    hold_off = HoldOff()
    names = ["".join(chr(97 + int(digit)) for digit in str(number)) for number in range(MAX_KINDS + 1)]
    assert all(hold_off.line(name, 0.0) for name in names)
    assert hold_off.line(names[0], 0.0) is not None and hold_off.line(names[-1], 0.0) is None
