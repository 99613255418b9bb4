"""Tests what one leader's driver is asked for, and what is said where it is not as it must be, without ROS."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.nodes.robot.interbotix.driver_checks import DriverRefused
from chunk_ppo_ros.nodes.robot.leaders.leader import LONGEST_WAIT, Leader
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.trust_rule import TrustRule
from chunk_ppo_ros.robot.leaders.handover import LeaderReport, Order
from chunk_ppo_ros.robot.leaders.leader_arms import LeaderArms

PERIOD = 0.02
CONFIG = RobotConfig(backend="interbotix", align_leaders=True)
POSE = np.array([0.1, -0.9, 1.1, 0.0, -0.3, 0.0])
GOAL = POSE + np.array([0.1, 0.0, 0.0, 0.0, 0.0, 0.0])


class Call:
    """A call of a service that is answered when its driver answers."""

    def __init__(self, answer: object, *, is_answered: Callable[[], bool]) -> None:
        self.answer = answer
        self.reason = "the service has not answered yet"
        self._is_answered = is_answered

    def is_over(self, now: float) -> bool:
        return self._is_answered()


class FakeLink:
    """A driver, and what it was asked for. Commands move the arm at once where it has torque."""

    def __init__(self) -> None:
        self.name = "leader_left"
        self.asked: list[object] = []
        self.mode = "position"
        self.keeps_mode = False
        self.torque, self.keeps_torque = False, False
        self.names: Sequence[str] = aloha.ARM_JOINTS
        self.has_gravity_service = True
        self.gravity_node = False
        self.gravity_refuses = ""
        self.rival = ""
        self.contradicted = False
        self.ids = frozenset({b"1"})
        self.answers = True
        self.is_open = self.is_connected = False
        self.sent: list[np.ndarray] = []

    def drivers(self) -> frozenset[bytes]:
        return self.ids

    def has_gravity_node(self) -> bool:
        return self.gravity_node

    def rivals(self) -> str:
        return self.rival

    def check_uncontradicted(self) -> None:
        if self.contradicted:
            raise DriverRefused("another program sends it commands")

    def open(self) -> None:
        self.is_open = self.is_connected = True

    def close(self) -> None:
        self.is_open = self.is_connected = False

    def leave(self) -> None:
        self.close()

    def send(self, positions: list[float]) -> None:
        assert self.is_open
        self.asked.append("goal")
        self.sent.append(np.array(positions))

    def arm_info(self) -> Call:
        return self._call("info", mode=self.mode, joint_names=list(self.names))

    def set_arm_mode(self) -> Call:
        self.mode = self.mode if self.keeps_mode else "position"
        return self._call("mode")

    def arm_register(self, register: str) -> Call:
        return self._call(register, values=[int(self.torque)] * 6)

    def set_arm_torque(self, *, enable: bool) -> Call:
        self.torque = self.torque if self.keeps_torque else enable
        return self._call(f"torque {enable}")

    def set_gripper_limp(self) -> Call:
        return self._call("gripper limp")

    def set_limp(self) -> Call:
        self.torque = self.torque and self.keeps_torque
        return self._call("limp")

    def stop_gravity_compensation(self) -> Call:
        return self._call("gravity", success=not self.gravity_refuses, message=self.gravity_refuses)

    def _call(self, name: str, **answer: object) -> Call:
        self.asked.append(name)
        return Call(types.SimpleNamespace(**answer), is_answered=lambda: self.answers)


class Bench:
    """A leader beside a fake driver, whose joint states come at each step."""

    def __init__(self) -> None:
        self.link = FakeLink()
        self.arms = LeaderArms(CONFIG, TrustRule.of(CONFIG, simulated=False).for_leaders())
        self.leader = Leader(self.link, "left", self.arms, CONFIG)  # type: ignore[arg-type]
        self.now = 1.0
        self.pose = np.array(POSE)
        self.is_silent = False
        self.blocked: np.ndarray | None = None  # where something keeps the arm
        for _ in range(10):
            self.observe()

    def observe(self) -> None:
        self.now += PERIOD
        if not self.is_silent:
            self.arms.observe("left", np.append(self.pose, 0.5), now=self.now)

    def step(self, order: Order) -> LeaderReport:
        self.observe()
        report = self.leader.step(order, GOAL, now=self.now)
        if self.link.torque and self.link.sent and self.blocked is None:
            self.pose = self.link.sent[-1]
        return report

    def until(self, order: Order, condition: Callable[[LeaderReport], object]) -> LeaderReport:
        for _ in range(1000):
            report = self.step(order)
            if condition(report):
                return report
        raise AssertionError(report)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def is_done(report: LeaderReport) -> bool:
    return report.is_done


def has_problem(report: LeaderReport) -> bool:
    return bool(report.problem)


def test_a_leader_gets_torque_with_its_pose_as_the_goal_before_and_after(bench: Bench) -> None:
    bench.step(Order.HOLD)
    bench.until(Order.HOLD, is_done)
    assert bench.link.asked == ["info", "gripper limp", "info", "goal", "torque True", "goal", "Torque_Enable"]
    np.testing.assert_array_equal(bench.link.sent, [POSE, POSE])
    assert not bench.link.is_open


def test_a_leader_is_led_to_its_follower_and_held_there_without_a_publisher(bench: Bench) -> None:
    bench.until(Order.ALIGN, is_done)
    np.testing.assert_allclose(bench.pose, GOAL)
    assert bench.link.is_open
    asked = len(bench.link.asked)
    bench.until(Order.HOLD, is_done)
    assert not bench.link.is_open
    assert len(bench.link.asked) == asked


def test_a_leader_that_waits_sends_nothing_and_goes_on(bench: Bench) -> None:
    bench.until(Order.ALIGN, lambda report: len(bench.link.sent) > 10)
    asked = len(bench.link.asked)
    for _ in range(20):
        assert not bench.step(Order.WAIT).is_done
    assert len(bench.link.asked) == asked
    bench.until(Order.ALIGN, is_done)


def test_a_leader_is_let_go_and_taken_again(bench: Bench) -> None:
    bench.until(Order.HOLD, is_done)
    bench.until(Order.LET_GO, is_done)
    assert bench.link.asked[-2:] == ["limp", "Torque_Enable"]
    bench.until(Order.HOLD, is_done)
    assert bench.link.torque


def test_a_leader_that_holds_does_not_drop_when_it_is_taken_again(bench: Bench) -> None:
    """The service of gravity compensation switches the torque of all motors off for a moment, also where it was off."""
    bench.until(Order.ALIGN, is_done)
    bench.until(Order.HOLD, is_done)
    bench.until(Order.ALIGN, is_done)
    assert "gravity" not in bench.link.asked
    assert "mode" not in bench.link.asked


def test_a_leader_gets_no_torque_while_it_is_not_known_where_it_is(bench: Bench) -> None:
    """A hand may have moved it since. The driver reports -pi for all joints while it cannot read the motors."""
    bench.link.answers = False
    bench.step(Order.ALIGN)
    bench.link.answers = True
    bench.arms.observe("left", np.full(7, -np.pi), now=bench.now)
    bench.is_silent = True
    for _ in range(10):
        bench.step(Order.ALIGN)
    assert not bench.link.torque
    bench.is_silent = False
    bench.pose = POSE + 0.4
    bench.until(Order.ALIGN, lambda report: bench.link.torque)
    np.testing.assert_array_equal(bench.link.sent[0], POSE + 0.4)


@pytest.mark.parametrize("order", [Order.WAIT, Order.HOLD])
def test_a_leader_that_is_stopped_while_it_presses_something_gives_way(bench: Bench, order: Order) -> None:
    """The stop or the hand-back may come because the leader presses a hand, before that counts as resistance."""
    bench.until(Order.ALIGN, lambda report: len(bench.link.sent) > 10)
    bench.blocked = bench.pose.copy()
    bench.until(Order.ALIGN, lambda report: np.max(np.abs(bench.link.sent[-1] - bench.blocked)) > 0.06)
    assert not bench.leader.step(order, GOAL, now=bench.now).is_done
    for _ in range(100):
        report = bench.step(order)
    np.testing.assert_allclose(bench.link.sent[-1], bench.blocked)
    assert report.is_done is (order is Order.HOLD)
    assert np.max(np.abs(np.diff(bench.link.sent, axis=0))) <= CONFIG.leader_velocity * PERIOD + 1e-9


def test_another_mode_is_set_and_read_back(bench: Bench) -> None:
    bench.link.mode = "current"
    bench.until(Order.HOLD, is_done)
    assert bench.link.asked[:6] == ["info", "gravity", "gripper limp", "info", "mode", "info"]


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({"mode": "current", "keeps_mode": True}, "must be position after it was set, got current"),
        ({"keeps_torque": True}, "motors have no torque although it was switched on: waist, shoulder"),
        ({"names": ("waist", "elbow")}, "must be waist, shoulder, elbow"),
        (
            {"mode": "current", "gravity_refuses": "a motor did not answer"},
            "was not switched off: a motor did not answer; see its log",
        ),
        ({"has_gravity_service": False, "gravity_node": True}, "gravity_compensation_enable is not there; end that"),
        ({"rival": "/teleop"}, "/teleop commands it too; stop that node"),
        ({"ids": frozenset()}, "nobody publishes its joint states; start its driver"),
        ({"answers": False}, f"has not gone on for {LONGEST_WAIT:g} s: the service has not answered yet"),
    ],
)
def test_a_leader_that_cannot_be_held_is_left_alone_and_it_is_said_why(
    bench: Bench, attributes: dict[str, object], text: str
) -> None:
    for name, value in attributes.items():
        setattr(bench.link, name, value)
    report = bench.until(Order.ALIGN, has_problem)
    assert report.problem.startswith("leader_left: ")
    assert text in report.problem
    assert not bench.link.is_open


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({"rival": "/teleop"}, "/teleop commands it too"),
        ({"contradicted": True}, "another program sends it commands"),
        ({"ids": frozenset({b"2"})}, "its driver was started again, and the torque may be off"),
    ],
)
def test_what_happens_to_a_leader_that_has_torque_is_noticed(
    bench: Bench, attributes: dict[str, object], text: str
) -> None:
    bench.until(Order.ALIGN, lambda report: len(bench.link.sent) > 5)
    for name, value in attributes.items():
        setattr(bench.link, name, value)
    assert text in bench.until(Order.ALIGN, has_problem).problem
    assert not bench.link.is_open


def test_another_commander_of_a_leader_that_holds_is_noticed(bench: Bench) -> None:
    bench.until(Order.ALIGN, is_done)
    bench.until(Order.HOLD, is_done)
    bench.link.contradicted = True
    assert "another program sends it commands" in bench.until(Order.HOLD, has_problem).problem


def test_a_motor_that_keeps_its_torque_is_said(bench: Bench) -> None:
    bench.until(Order.HOLD, is_done)
    bench.link.keeps_torque = True
    report = bench.until(Order.LET_GO, has_problem)
    assert "motors have torque although it was switched off: waist" in report.problem


def test_a_leader_whose_pose_is_not_known_is_not_moved(bench: Bench) -> None:
    bench.until(Order.ALIGN, lambda report: len(bench.link.sent) > 5)
    bench.is_silent = True
    report = bench.until(Order.ALIGN, lambda report: report.waits_for)
    sent = len(bench.link.sent)
    assert "leader_left: no joint states of the left leader within" in report.waits_for
    bench.step(Order.ALIGN)
    assert len(bench.link.sent) == sent
    bench.is_silent = False
    bench.until(Order.ALIGN, is_done)


def test_a_leader_that_is_left_alone_loses_its_publisher_at_once(bench: Bench) -> None:
    bench.until(Order.ALIGN, lambda report: len(bench.link.sent) > 5)
    assert bench.step(Order.NOTHING).is_done
    assert not bench.link.is_open


def test_a_leader_that_held_is_taken_again_at_the_next_takeover(bench: Bench) -> None:
    """Somebody may have let gravity compensation move it. Otherwise its goal stays, so that it does not sink."""
    bench.until(Order.ALIGN, is_done)
    bench.until(Order.HOLD, is_done)
    del bench.link.asked[:], bench.link.sent[:]
    bench.pose = GOAL + 0.03
    bench.until(Order.ALIGN, is_done)
    assert bench.link.asked[:6] == ["info", "gripper limp", "info", "goal", "torque True", "goal"]
    np.testing.assert_array_equal(bench.link.sent[0], GOAL)
    bench.until(Order.HOLD, is_done)
    del bench.link.sent[:]
    bench.pose = GOAL + 0.07
    for _ in range(30):  # A leap is believed after five readings over 0.1 s.
        bench.observe()
    bench.step(Order.ALIGN)
    np.testing.assert_array_equal(bench.link.sent[0], GOAL + 0.07)
