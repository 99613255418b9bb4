"""Reads and sets what a follower's motors keep in their memory: gains, profile, currents, temperatures.

These routines wait as those of `preparation.py` do. A reboot of a motor clears this memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.nodes.robot.interbotix import motor_facts
from chunk_ppo_ros.nodes.robot.interbotix.driver_checks import DriverRefused
from chunk_ppo_ros.nodes.robot.interbotix.driver_link import DriverLink
from chunk_ppo_ros.nodes.robot.interbotix.motor_facts import MotorFacts
from chunk_ppo_ros.nodes.robot.interbotix.waits import Wait
from chunk_ppo_ros.robot import aloha

NUM_TIMED_READS = 10
"""The number of reads by which the bus is timed."""
MAX_LAG = 0.05
"""The largest distance of a motor from its goal at which its gain is raised, rad. It goes to the goal at once then."""
VELOCITY_PROFILE = "velocity"
"""The profile type of a group whose Profile_Velocity is a speed. With "time" it is the ms that a motion takes."""
LOST_BY_REBOOT = (motor_facts.POSITION_GAIN, motor_facts.PROFILE_VELOCITY)
"""The registers that a gripper gets back after its reboot."""

Routine = Generator[Wait, None, None]


@dataclasses.dataclass(frozen=True)
class MotorWishes:
    """Says what the arm's motors must be set to.

    Attributes:
        position_gain: their Position_P_Gain, or 0 for what they have.
        profile_velocity: their Profile_Velocity in its unit, or 0 for what they have.
    """

    position_gain: int = 0
    profile_velocity: int = 0

    @classmethod
    def of(cls, config: RobotConfig) -> MotorWishes:
        """Returns the wishes of a configuration."""
        velocity = config.profile_velocity / motor_facts.VELOCITY_UNIT
        return cls(config.position_gain, max(1, round(velocity)) if config.profile_velocity else 0)


def read(link: DriverLink, facts: MotorFacts, register: str) -> Routine:
    """Reads a register of all seven motors into the facts."""
    arm = link.arm_register(register)
    yield arm
    facts.note(register, aloha.ARM_JOINTS, arm.answer.values)
    yield from read_gripper(link, facts, register)


def read_gripper(link: DriverLink, facts: MotorFacts, register: str) -> Routine:
    """Reads a register of the gripper's motor into the facts."""
    yield from read_motor(link, facts, aloha.GRIPPER, register)


def read_motor(link: DriverLink, facts: MotorFacts, motor: str, register: str) -> Routine:
    """Reads a register of one motor into the facts, and how long that took."""
    call = link.motor_register(motor, register)
    yield call
    facts.note(register, (motor,), call.answer.values)
    if len(call.answer.values):
        facts.round_trips.append(call.took)


def settle(link: DriverLink, facts: MotorFacts, wishes: MotorWishes) -> Routine:
    """Times the bus, reads the settings of the motors, and sets what is wished.

    Raises:
        DriverRefused: if a motor does not take a setting. The text says what to do.
    """
    for _ in range(NUM_TIMED_READS if facts.tells_registers else 0):
        yield from read_gripper(link, facts, motor_facts.TEMPERATURE)
    for register in (motor_facts.TEMPERATURE, motor_facts.POSITION_GAIN, motor_facts.PROFILE_VELOCITY):
        yield from read(link, facts, register)
    for register in (motor_facts.CURRENT_LIMIT, motor_facts.GOAL_CURRENT):
        yield from read_gripper(link, facts, register)
    if _differs(facts, motor_facts.POSITION_GAIN, wishes.position_gain):
        yield from _check_lag(link, facts)
        yield from _set_arm(link, facts, motor_facts.POSITION_GAIN, wishes.position_gain, setting="position_gain")
    if _differs(facts, motor_facts.PROFILE_VELOCITY, wishes.profile_velocity):
        if facts.profile_type != VELOCITY_PROFILE:
            raise DriverRefused(
                f"the profile type of the group arm must be {VELOCITY_PROFILE} for robot.profile_velocity, got "
                f"{facts.profile_type or 'none'}, with which the motors take the number for a time; set profile_type "
                "in the driver's modes file, or robot.profile_velocity to 0"
            )
        register, value = motor_facts.PROFILE_VELOCITY, wishes.profile_velocity
        yield from _set_arm(link, facts, register, value, setting="profile_velocity")


def reboot_gripper(link: DriverLink, facts: MotorFacts) -> Routine:
    """Reboots the gripper's motor. It gets back the settings that it had when it was prepared, if it was.

    A motor with an error tells nothing, so that what it had cannot be read now.
    """
    before = {register: facts.value(register, aloha.GRIPPER) for register in LOST_BY_REBOOT}
    yield link.reboot_gripper()
    yield link.fresh_states()
    for register, value in before.items():
        yield from read_gripper(link, facts, register)
        if value is not None and facts.value(register, aloha.GRIPPER) != value:
            yield link.set_gripper_register(register, value)


def _differs(facts: MotorFacts, register: str, wish: int) -> bool:
    return bool(wish) and any(value != wish for value in facts.values(register, aloha.ARM_JOINTS).values())


def _check_lag(link: DriverLink, facts: MotorFacts) -> Routine:
    """Makes sure that the arm does not leap to its goal when its gain is raised.

    Raises:
        DriverRefused: if a motor is far from its goal.
    """
    for register in (motor_facts.GOAL_POSITION, motor_facts.PRESENT_POSITION):
        yield from read(link, facts, register)
    goals = facts.values(motor_facts.GOAL_POSITION, aloha.ARM_JOINTS)
    presents = facts.values(motor_facts.PRESENT_POSITION, aloha.ARM_JOINTS)
    for joint in aloha.ARM_JOINTS:
        lag = abs(goals.get(joint, 0) - presents.get(joint, 0)) * motor_facts.POSITION_UNIT
        if lag > MAX_LAG or joint not in goals or joint not in presents:
            raise DriverRefused(
                f"the {joint} must be within {MAX_LAG} rad of its goal before its gain is set to robot.position_gain, "
                f"got {lag:.2f} rad; support the arm and set the gain by the driver's set_motor_registers, or set "
                "robot.position_gain to 0"
            )


def _set_arm(link: DriverLink, facts: MotorFacts, register: str, value: int, *, setting: str) -> Routine:
    yield link.set_arm_register(register, value)
    yield from read(link, facts, register)
    for motor, got in facts.values(register, aloha.ARM_JOINTS).items():
        if got != value:
            raise DriverRefused(
                f"{register} of the {motor} must be {value} (robot.{setting}) after it was set, got {got}; see the log "
                f"of the driver, or set robot.{setting} to 0"
            )
