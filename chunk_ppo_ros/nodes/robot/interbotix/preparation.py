"""Prepares a follower's driver, and looks after its motors, step by step and without blocking.

A routine is a generator. It gives the next thing that is waited for, and its owner goes on with it when that is over.
"""

from __future__ import annotations

from collections.abc import Generator

from chunk_ppo_ros.nodes.robot.interbotix import driver_checks
from chunk_ppo_ros.nodes.robot.interbotix.driver_checks import DriverRefused
from chunk_ppo_ros.nodes.robot.interbotix.driver_link import DriverLink
from chunk_ppo_ros.nodes.robot.interbotix.waits import Wait
from chunk_ppo_ros.robot import aloha

ERROR_REGISTER = "Hardware_Error_Status"
TORQUE_REGISTER = "Torque_Enable"

Routine = Generator[Wait, None, None]
"""Gives what is waited for. It ends when the arm may be commanded, or raises `DriverRefused`."""


def prepare(link: DriverLink, *, may_reboot: bool) -> Routine:
    """Reboots a gripper that has stopped, checks the arm, and brings the gripper into its mode.

    The order is that of ALOHA's own scripts: first the reboot, then the modes. The arm's motors are never rebooted and
    their mode is never set, because both drop the torque and the arm would fall.

    Args:
        link: the topics and services of the driver.
        may_reboot: whether a gripper that has stopped with an error is rebooted.

    Raises:
        DriverRefused: if something is not as it must be. The text says what to do.
    """
    if may_reboot:
        yield from _revive_gripper(link)
    yield from _check_arm(link)
    yield from _set_gripper_mode(link)
    yield from look_after(link)
    yield link.fresh_states()


def watch(link: DriverLink) -> Routine:
    """Looks whether a prepared arm still is as it was prepared. Another program may have set the modes meanwhile.

    Raises:
        DriverRefused: if a motor has an error or no torque.
        WrongMode: if a mode is another one.
    """
    yield from _check_arm(link)
    call = link.gripper_info()
    yield call
    driver_checks.check_gripper_mode(call.answer.mode)
    yield from look_after(link)


def look_after(link: DriverLink) -> Routine:
    """Reads the errors and the torque of all motors. Each read takes the driver some 10 ms for each motor.

    Raises:
        DriverRefused: if a motor has an error or no torque. The text names the motor.
    """
    arm_errors = link.arm_register(ERROR_REGISTER)
    yield arm_errors
    gripper_errors = link.gripper_register(ERROR_REGISTER)
    yield gripper_errors
    if failed := driver_checks.hardware_errors(aloha.ARM_JOINTS, arm_errors.answer.values):
        raise DriverRefused(
            f"motors of the arm have stopped with an error and are limp: {failed}; support the arm, and reboot them by "
            "the driver's reboot_motors"
        )
    if failed := driver_checks.hardware_errors((aloha.GRIPPER,), gripper_errors.answer.values):
        raise DriverRefused(f"the motor of the gripper is limp: {failed}; the service prepare_robot reboots it")
    torque = link.arm_register(TORQUE_REGISTER)
    yield torque
    if limp := driver_checks.limp_motors(aloha.ARM_JOINTS, torque.answer.values):
        raise DriverRefused(f"motors have no torque: {limp}; switch it on by the driver's torque_enable")


def _check_arm(link: DriverLink) -> Routine:
    call = link.arm_info()
    yield call
    info = call.answer
    driver_checks.check_arm(
        mode=info.mode,
        names=info.joint_names,
        ids=info.joint_ids,
        lower=info.joint_lower_limits,
        upper=info.joint_upper_limits,
    )


def _revive_gripper(link: DriverLink) -> Routine:
    errors = link.gripper_register(ERROR_REGISTER)
    yield errors
    if driver_checks.hardware_errors((aloha.GRIPPER,), errors.answer.values):
        yield link.reboot_gripper()
        yield link.fresh_states()


def _set_gripper_mode(link: DriverLink) -> Routine:
    before = link.gripper_info()
    yield before
    if before.answer.mode == driver_checks.GRIPPER_MODE:
        return
    yield link.set_gripper_mode(driver_checks.GRIPPER_MODE)
    after = link.gripper_info()
    yield after
    driver_checks.check_gripper_mode(after.answer.mode)
