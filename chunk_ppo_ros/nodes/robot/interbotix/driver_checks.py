"""Says what Interbotix's driver of a follower must answer before its arm may be commanded. Nothing here knows ROS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chunk_ppo_ros.config.flags.service_calls import service_call
from chunk_ppo_ros.nodes.common.interbotix_interfaces import GRIPPER_MODE
from chunk_ppo_ros.robot import aloha

ARM_MODE = "position"
"""The operating mode of the arm's motors, in which commands are joint angles in rad."""
LIMIT_TOLERANCE = 0.01
"""The largest difference between a joint limit of the driver and the same limit of this package, rad."""

_HARDWARE_ERRORS = {
    0: "input voltage",
    2: "overheating",
    3: "encoder",
    4: "electrical shock",
    5: "overload",
}
"""The bits of Hardware_Error_Status; Robotis' manual of the X series."""


class DriverRefused(Exception):
    """The driver or its motors are not in the state in which the arm may be commanded. The text says what to do."""


class LostTorque(DriverRefused):
    """Motors of the arm have no torque, or have stopped with an error. Their memory and their goals may be lost."""


class WrongMode(DriverRefused):
    """Motors are in another operating mode, in which the numbers of a command would mean something else."""


def check_arm(
    *, mode: str, names: Sequence[str], ids: Sequence[int], lower: Sequence[float], upper: Sequence[float]
) -> None:
    """Checks what `get_robot_info` tells of the group "arm".

    Args:
        mode: the operating mode.
        names: the joints, in the order in which a command of the group has them.
        ids: the motors of these joints on the bus.
        lower: the lower limits of these joints, rad.
        upper: the upper limits of these joints, rad.

    Raises:
        DriverRefused: if the order of the joints, the ids or a limit is not what this package takes it for.
        WrongMode: if the mode is not.
    """
    if list(names) != list(aloha.ARM_JOINTS):
        raise DriverRefused(
            f"the joints of the group arm must be {', '.join(aloha.ARM_JOINTS)} in this order, got "
            f"{', '.join(names) or 'none'}; start the driver with the motor configuration of aloha_vx300s"
        )
    if mode != ARM_MODE:
        raise WrongMode(
            f"the operating mode of the group arm must be {ARM_MODE}, got {mode or 'none'}; support the arm and set "
            "the mode by the driver's set_operating_modes, which drops the torque for a moment"
        )
    if len(ids) != len(names) or len(set(ids)) != len(ids):
        raise DriverRefused(
            f"each joint must have a motor id of its own, got {list(ids)}; check the motor configuration"
        )
    _check_limits("lower", lower, aloha.LOWER_LIMITS[: len(names)].tolist())
    _check_limits("upper", upper, aloha.UPPER_LIMITS[: len(names)].tolist())


def _check_limits(which: str, told: Sequence[float], expected: Sequence[float]) -> None:
    if len(told) != len(expected):
        raise DriverRefused(
            f"the driver must tell {len(expected)} {which} limits, got {len(told)}; start it with the robot's URDF"
        )
    pairs = zip(aloha.ARM_JOINTS, told, expected, strict=True)
    wrong = [f"{name} {got:.3f} (expected {want:.3f})" for name, got, want in pairs if not _is_near(got, want)]
    if wrong:
        raise DriverRefused(
            f"the driver's {which} limits must be those of aloha_vx300s within {LIMIT_TOLERANCE} rad, got "
            f"{', '.join(wrong)}; start it with the URDF of aloha_vx300s"
        )


def _is_near(value: float, expected: float) -> bool:
    return abs(value - expected) <= LIMIT_TOLERANCE


def check_gripper_mode(mode: str) -> None:
    """Checks the mode that the driver tells of the gripper after it was set.

    Raises:
        WrongMode: if it is not `GRIPPER_MODE`. In linear_position an angle would be taken for a distance.
    """
    if mode != GRIPPER_MODE:
        raise WrongMode(
            f"the gripper's operating mode must be {GRIPPER_MODE}, got {mode or 'none'} after it was set; check the "
            "log of the driver, and whether another program sets it"
        )


def hardware_errors(statuses: Mapping[str, int]) -> str:
    """Returns the motors whose Hardware_Error_Status is not 0, with the errors, or an empty string.

    Args:
        statuses: the register by motor. Interbotix's simulation tells none.
    """
    return ", ".join(f"{name} ({_errors(status)})" for name, status in statuses.items() if status)


def _errors(status: int) -> str:
    names = [name for bit, name in _HARDWARE_ERRORS.items() if status >> bit & 1]
    return " and ".join(names) or f"Hardware_Error_Status {status}"


def silent_motor(name: str) -> str:
    """Returns what it means that a motor tells no register although others do, or an empty string without a name."""
    return f"{name} (it tells no register, as a motor with an error does)" if name else ""


def limp_motors(torques: Mapping[str, int]) -> str:
    """Returns the motors whose Torque_Enable is 0, or an empty string. The argument is as in `hardware_errors`."""
    return ", ".join(name for name, torque in torques.items() if not torque)


def torque_on(driver: str) -> str:
    """Returns how the torque of an arm is switched on again, for people. `driver` is the full name of its driver."""
    request = "{cmd_type: group, name: all, enable: true}"
    call = service_call(f"{driver}/torque_enable", "interbotix_xs_msgs/srv/TorqueEnable", request)
    return f"support the arm and switch it on by `{call}`"
