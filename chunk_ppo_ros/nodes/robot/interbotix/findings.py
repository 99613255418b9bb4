"""Says for people what the driver of a follower has told: bus, temperatures, gains, profile, currents."""

from __future__ import annotations

from collections.abc import Iterable

from chunk_ppo_ros.nodes.robot.interbotix import bus_timing, motor_facts
from chunk_ppo_ros.nodes.robot.interbotix.bus_timing import Spread
from chunk_ppo_ros.nodes.robot.interbotix.motor_facts import MotorFacts
from chunk_ppo_ros.nodes.robot.robot_backends import Finding
from chunk_ppo_ros.robot import aloha

STANDARD_GAIN = 800
"""Position_P_Gain of a motor after its start; Robotis' manual. Interbotix's scripts set 100 where an arm is soft."""
SLEEP_TOLERANCE = 0.05
"""The largest difference of a driver's sleep pose from ours, rad."""


def driver_findings(
    name: str,
    facts: MotorFacts,
    state_periods: list[float],
    *,
    control_period: float,
    is_paced: bool,
    max_gripper_current: float = 0.0,
) -> tuple[Finding, ...]:
    """Returns what is known of an arm's driver.

    Args:
        name: the namespace of the driver.
        facts: what it has told of its motors.
        state_periods: the times between the last joint states, s.
        control_period: the time between two commands, s.
        is_paced: whether joint states come only in answer to commands, as from a simulator in lockstep.
        max_gripper_current: the current of a gripper that stops the motion, mA; 0 for none.
    """
    found = [_bus(name, facts, state_periods, control_period=control_period, is_paced=is_paced)]
    if not facts.tells_registers:
        return (*found, Finding(f"{name} motors", "the driver tells no registers, as in a simulation; none is set"))
    gripper = _currents(name, facts, largest=max_gripper_current)
    return (*found, _temperatures(name, facts), _gains(name, facts), _profile(name, facts), gripper)


def _bus(name: str, facts: MotorFacts, state_periods: list[float], *, control_period: float, is_paced: bool) -> Finding:
    reads, periods = Spread.of(list(facts.round_trips)), Spread.of(state_periods)
    rate = f"{1.0 / periods.median:.0f} Hz, " if periods.count and periods.median else ""
    text = f"a register takes {reads}; joint states come at {rate}period {periods}"
    advice = "" if is_paced else bus_timing.advice(reads, periods, control_period=control_period)
    return Finding(f"{name} bus", text, advice)


def _temperatures(name: str, facts: MotorFacts) -> Finding:
    values = facts.values(motor_facts.TEMPERATURE)
    return Finding(f"{name} temperatures", _listing(values, "C"))


def _gains(name: str, facts: MotorFacts) -> Finding:
    values = facts.values(motor_facts.POSITION_GAIN, aloha.ARM_JOINTS)
    soft = [motor for motor, value in values.items() if value < STANDARD_GAIN]
    advice = (
        f"the gain of {', '.join(soft)} is below {STANDARD_GAIN}, so that the arm sags; set robot.position_gain to "
        f"{STANDARD_GAIN}, and call prepare_robot"
    )
    value = _listing(facts.values(motor_facts.POSITION_GAIN))
    return Finding(f"{name} {motor_facts.POSITION_GAIN}", value, advice if soft else "")


def _profile(name: str, facts: MotorFacts) -> Finding:
    values = facts.values(motor_facts.PROFILE_VELOCITY, aloha.ARM_JOINTS)
    speeds = {motor: round(value * motor_facts.VELOCITY_UNIT, 2) for motor, value in values.items()}
    text = _listing(speeds, "rad/s") if any(speeds.values()) else "the motors limit their speed themselves nowhere"
    return Finding(f"{name} {motor_facts.PROFILE_VELOCITY}", text if values else "not known")


def _currents(name: str, facts: MotorFacts, *, largest: float) -> Finding:
    """Returns the limits of a gripper's current. A gripper that holds something has the smaller one all the time."""
    registers = (motor_facts.CURRENT_LIMIT, motor_facts.GOAL_CURRENT)
    found = {register: facts.value(register, aloha.GRIPPER) for register in registers}
    texts = [
        f"{register} {value} ({value * motor_facts.CURRENT_UNIT:.0f} mA)"
        for register, value in found.items()
        if value is not None
    ]
    known = [value * motor_facts.CURRENT_UNIT for value in found.values() if value]
    grip = min(known, default=0.0)
    advice = (
        f"it grips with {grip:.0f} mA, and robot.max_gripper_current is {largest:g} mA, so that each grasp ends as a "
        f"FAULT; lower {motor_facts.CURRENT_LIMIT} of the motor, or, where it must grip so hard, set the setting to "
        f"{1.1 * grip:.0f}"
    )
    return Finding(f"{name} gripper", ", ".join(texts) or "not known", advice if 0.0 < largest <= grip else "")


def _listing(values: dict[str, int] | dict[str, float], unit: str = "") -> str:
    """Returns one number where all motors have the same, and otherwise that of each."""
    if not values:
        return "not known"
    if len(set(values.values())) == 1:
        return _text(next(iter(values.values())), unit)
    return ", ".join(f"{motor} {_text(value, unit)}" for motor, value in values.items())


def _text(value: float, unit: str) -> str:
    return " ".join(filter(None, [f"{value:g}", unit]))


def advice_of(findings: Iterable[Finding]) -> str:
    """Returns all advice as one text for the log, or an empty string."""
    return "; ".join(f"{each.name}: {each.advice}" for each in findings if each.advice)
