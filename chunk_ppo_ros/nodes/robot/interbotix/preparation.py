"""Prepares a follower's driver, and looks after its motors, step by step and without blocking.

A routine is a generator. It gives the next thing that is waited for, and its owner goes on with it when that is over.
"""

from __future__ import annotations

from chunk_ppo_ros.nodes.common.interbotix_interfaces import GRIPPER_MODE
from chunk_ppo_ros.nodes.robot.interbotix import driver_checks, motor_facts, motor_settings
from chunk_ppo_ros.nodes.robot.interbotix.driver_checks import DriverRefused, LostTorque
from chunk_ppo_ros.nodes.robot.interbotix.driver_link import DriverLink
from chunk_ppo_ros.nodes.robot.interbotix.motor_facts import MotorFacts
from chunk_ppo_ros.nodes.robot.interbotix.motor_settings import MotorWishes, Routine
from chunk_ppo_ros.robot import aloha

NUM_ATTEMPTS = 3
"""The number of reads after which a motor that does not answer is taken for one with an error."""


def prepare(link: DriverLink, facts: MotorFacts, wishes: MotorWishes, *, may_reboot: bool) -> Routine:
    """Reboots a gripper that has stopped, checks the arm, and brings the gripper into its mode.

    The order is that of ALOHA's own scripts: first the reboot, then the modes. The arm's motors are never rebooted and
    their mode is never set, because both drop the torque and the arm would fall.

    Args:
        link: the topics and services of the driver.
        facts: what the driver tells of the motors, which is filled.
        wishes: what the arm's motors are set to.
        may_reboot: whether a gripper that has stopped with an error is rebooted.

    Raises:
        DriverRefused: if something is not as it must be. The text says what to do.
    """
    yield from _read_errors(link, facts)
    if may_reboot and _gripper_error(facts):
        yield from motor_settings.reboot_gripper(link, facts)
    yield from _check_arm(link, facts)
    yield from _set_gripper_mode(link)
    yield from look_after(link, facts)
    yield from motor_settings.settle(link, facts, wishes)
    yield link.fresh_states()


def watch(link: DriverLink, facts: MotorFacts) -> Routine:
    """Looks whether a prepared arm still is as it was prepared. Another program may have set the modes meanwhile.

    Raises:
        DriverRefused: if the gripper has an error.
        LostTorque: if a motor of the arm has an error or no torque.
        WrongMode: if a mode is another one.
    """
    yield from _check_arm(link, facts)
    call = link.gripper_info()
    yield call
    driver_checks.check_gripper_mode(call.answer.mode)
    yield from look_after(link, facts)
    yield from motor_settings.read(link, facts, motor_facts.TEMPERATURE)


def look_after(link: DriverLink, facts: MotorFacts) -> Routine:
    """Reads the errors and the torque of all motors. Each read takes the driver some ms for each motor.

    Raises:
        DriverRefused: if the gripper has an error.
        LostTorque: if a motor of the arm has an error or no torque. The text names the motor.
    """
    yield from _read_errors(link, facts)
    if failed := _errors(facts, aloha.ARM_JOINTS):
        raise LostTorque(
            f"motors of the arm have stopped with an error and are limp: {failed}; support the arm, and reboot them by "
            "the driver's reboot_motors"
        )
    if failed := _gripper_error(facts):
        raise DriverRefused(f"the motor of the gripper is limp: {failed}; the service prepare_robot reboots it")
    torque = link.arm_register(motor_facts.TORQUE)
    yield torque
    facts.note(motor_facts.TORQUE, aloha.ARM_JOINTS, torque.answer.values)
    if limp := driver_checks.limp_motors(facts.values(motor_facts.TORQUE, aloha.ARM_JOINTS)):
        raise LostTorque(f"motors have no torque: {limp}; {driver_checks.torque_on(link.full_name)}")


def switch_torque_off(link: DriverLink, facts: MotorFacts) -> Routine:
    """Switches the torque of all motors of an arm off, and reads it back.

    Raises:
        LostTorque: at its end, because the arm must not be commanded then.
        DriverRefused: if motors still have torque.
    """
    yield link.switch_torque_off()
    torque = link.arm_register(motor_facts.TORQUE)
    yield torque
    facts.note(motor_facts.TORQUE, aloha.ARM_JOINTS, torque.answer.values)
    if on := [motor for motor, value in facts.values(motor_facts.TORQUE, aloha.ARM_JOINTS).items() if value]:
        raise DriverRefused(f"motors still have torque: {', '.join(on)}; see the log of the driver")
    raise LostTorque(f"its torque is off, as was asked for; {driver_checks.torque_on(link.full_name)}")


def _read_errors(link: DriverLink, facts: MotorFacts) -> Routine:
    """Reads the errors of all motors, again where a motor did not answer. An answer may be lost on the bus.

    Where no motor has told anything, each is asked for itself. A driver that tells nothing of any is a simulation.
    """
    for _ in range(NUM_ATTEMPTS):
        yield from motor_settings.read(link, facts, motor_facts.ERROR)
        if facts.tells_registers and not facts.silent(motor_facts.ERROR, motor_facts.MOTORS):
            return
    for motor in () if facts.tells_registers else motor_facts.MOTORS:
        yield from motor_settings.read_motor(link, facts, motor, motor_facts.ERROR)


def _errors(facts: MotorFacts, motors: tuple[str, ...]) -> str:
    found = driver_checks.hardware_errors(facts.values(motor_facts.ERROR, motors))
    silent = driver_checks.silent_motor(facts.silent(motor_facts.ERROR, motors))
    return ", ".join(filter(None, [found, silent]))


def _gripper_error(facts: MotorFacts) -> str:
    return _errors(facts, (aloha.GRIPPER,))


def _check_arm(link: DriverLink, facts: MotorFacts) -> Routine:
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
    facts.profile_type, facts.sleep_positions = info.profile_type, tuple(info.joint_sleep_positions)


def _set_gripper_mode(link: DriverLink) -> Routine:
    before = link.gripper_info()
    yield before
    if before.answer.mode == GRIPPER_MODE:
        return
    yield link.set_gripper_mode(GRIPPER_MODE)
    after = link.gripper_info()
    yield after
    driver_checks.check_gripper_mode(after.answer.mode)
