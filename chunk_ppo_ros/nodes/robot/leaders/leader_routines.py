"""Gives a leader torque without a leap, and takes it away, step by step and without blocking.

A routine is a generator. It gives the next thing that is waited for, and its owner goes on with it when that is over.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import numpy as np

from chunk_ppo_ros.nodes.robot.interbotix import motor_facts
from chunk_ppo_ros.nodes.robot.interbotix.driver_checks import ARM_MODE, DriverRefused
from chunk_ppo_ros.nodes.robot.interbotix.motor_settings import Routine
from chunk_ppo_ros.nodes.robot.interbotix.waits import ServiceCall, Wait
from chunk_ppo_ros.nodes.robot.leaders.leader_link import LeaderLink
from chunk_ppo_ros.robot import aloha

GoalOf = Callable[[], np.ndarray]
"""A function that returns where a leader is to be held, float [6], rad."""
UnknownOf = Callable[[float], str]
"""A function of the steady time, s, that returns why it is not known where a leader is, or an empty string."""


class Connection:
    """Waits until the driver of a leader listens to its commands.

    Args:
        link: the leader, whose publisher exists.
    """

    def __init__(self, link: LeaderLink) -> None:
        self._link = link

    @property
    def reason(self) -> str:
        """What is waited for."""
        return f"nobody listens to the commands of {self._link.name}; check that its driver runs"

    def is_over(self, now: float) -> bool:
        """Returns whether the driver listens."""
        return self._link.is_connected


class KnownPose:
    """Waits until it is known where a leader is, which may not be so while its driver writes to the motors.

    Args:
        unknown_of: returns why it is not known.
    """

    def __init__(self, unknown_of: UnknownOf) -> None:
        self._unknown_of = unknown_of
        self.reason = ""
        """What is waited for."""

    def is_over(self, now: float) -> bool:
        """Returns whether it is known."""
        self.reason = self._unknown_of(now)
        return not self.reason


def take(link: LeaderLink, goal_of: GoalOf, unknown_of: UnknownOf) -> Routine:
    """Gives the arm torque where it is, and leaves its gripper without.

    Gravity compensation ends first, because it would command the leader too. The present pose is the goal before the
    torque comes and again after it, so that the arm does not leap.

    Args:
        link: the topics and services of the driver.
        goal_of: returns where the leader is to be held.
        unknown_of: returns why it is not known where the leader is.

    Raises:
        DriverRefused: if something is not as it must be. The text says what to do.
    """
    mode = yield from _arm_mode(link)
    yield from _end_gravity_compensation(link, mode)
    link.open()
    yield Connection(link)
    yield link.set_gripper_limp()
    yield from _set_arm_mode(link)
    yield KnownPose(unknown_of)
    link.check_uncontradicted()
    link.send(goal_of().tolist())
    yield link.set_arm_torque(enable=True)
    link.send(goal_of().tolist())
    yield from _check_torque(link, enabled=True)


def let_go(link: LeaderLink) -> Routine:
    """Switches the torque of the whole leader off.

    Raises:
        DriverRefused: if a motor of the arm still has torque.
    """
    yield link.set_limp()
    yield from _check_torque(link, enabled=False)


def _end_gravity_compensation(link: LeaderLink, mode: str) -> Routine:
    """Switches gravity compensation off where the mode of the arm is not the one that we use.

    The service switches the torque of all motors off for a moment, whether gravity compensation was on or not. A leader
    that holds would drop. Gravity compensation that is on has set another mode.
    """
    if not link.has_gravity_service and link.has_gravity_node():
        raise DriverRefused(
            f"gravity compensation may command the leader, and its service /{link.name}/gravity_compensation_enable is "
            "not there; end that node"
        )
    if not link.has_gravity_service or mode == ARM_MODE:
        return
    call = link.stop_gravity_compensation()
    yield call
    if not call.answer.success:
        raise DriverRefused(
            f"gravity compensation was not switched off: {call.answer.message or 'without a reason'}; see its log"
        )


def _arm_mode(link: LeaderLink) -> Generator[Wait, None, str]:
    """Checks the order of the joints, and returns the mode of the arm."""
    info = link.arm_info()
    yield info
    if list(info.answer.joint_names) != list(aloha.ARM_JOINTS):
        names = ", ".join(info.answer.joint_names) or "none"
        raise DriverRefused(
            f"the joints of the group arm must be {', '.join(aloha.ARM_JOINTS)} in this order, got {names}; start the "
            "driver with the motor configuration of aloha_wx250s"
        )
    return str(info.answer.mode)


def _set_arm_mode(link: LeaderLink) -> Routine:
    """Sets the mode of the arm where it is another one."""
    if (yield from _arm_mode(link)) == ARM_MODE:
        return
    yield link.set_arm_mode()
    mode = yield from _arm_mode(link)
    if mode != ARM_MODE:
        raise DriverRefused(
            f"the operating mode of the group arm must be {ARM_MODE} after it was set, got {mode or 'none'}; see the "
            "log of the driver, and whether another program sets it"
        )


def _check_torque(link: LeaderLink, *, enabled: bool) -> Routine:
    """Reads the torque of the arm's motors. Interbotix's simulation tells none, which is taken for success."""
    call: ServiceCall = link.arm_register(motor_facts.TORQUE)
    yield call
    pairs = zip(aloha.ARM_JOINTS, call.answer.values, strict=False)
    wrong = ", ".join(name for name, value in pairs if bool(value) is not enabled)
    if wrong:
        state = "no torque although it was switched on" if enabled else "torque although it was switched off"
        raise DriverRefused(f"motors have {state}: {wrong}; see the log of the driver")
