"""Says what the drivers of both arms take and tell: the names, units, rates and limits of commands and states.

The numbers are in the drivers' own units. They are those of the settings and of Interbotix's configuration files; what
a running driver does is measured by its back end.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.robot import aloha, grippers

DRIVER_STATE_RATE = 100.0
"""The `update_rate` of joint states in Interbotix's motor configurations, Hz. A slow serial bus makes it lower."""


@dataclasses.dataclass(frozen=True)
class EndFeatures:
    """Describes the commands that drivers take, or the states that they tell.

    Attributes:
        names: the joints of both arms, such as "follower_left/waist"; D of them.
        units: the unit of each, "rad" or "m".
        lower: float64 [D], the lower limits in these units. States may lie outside.
        upper: float64 [D], the upper limits.
        rate: how often they are sent, Hz.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    lower: np.ndarray
    upper: np.ndarray
    rate: float


@dataclasses.dataclass(frozen=True)
class RobotFeatures:
    """Describes a robot behind a back end.

    Attributes:
        backend: the name of the back end.
        commands: what the drivers take.
        states: what the drivers tell.
        max_velocity: the largest speed of a commanded arm joint, rad/s.
        effort_unit: the unit of the efforts in the joint states; empty where the driver decides.
        has_temperatures: whether the back end reads the temperatures of the motors.
        switches_torque_off: whether the back end can switch the torque off.
        sleep_pose: float64 [14], where the arms are put down, rad and normalized grippers.
    """

    backend: str
    commands: EndFeatures
    states: EndFeatures
    max_velocity: float
    effort_unit: str
    has_temperatures: bool
    switches_torque_off: bool
    sleep_pose: np.ndarray

    def summary(self) -> str:
        """Returns names, units and rates as one line for people."""
        commands, states = self.commands, self.states
        grippers_in = commands.units[int(aloha.GRIPPER_INDICES[0])]
        effort = f"efforts in {self.effort_unit}" if self.effort_unit else "efforts as the driver has them"
        return (
            f"{len(commands.names)} joints at {commands.rate:g} Hz, arms in rad up to {self.max_velocity:g} rad/s, "
            f"grippers in {grippers_in}; states at {states.rate:g} Hz at most, {effort}"
        )


@dataclasses.dataclass(frozen=True)
class MotorTemperature:
    """Holds the temperature of a motor.

    Attributes:
        motor: the side and the joint, such as "left elbow".
        celsius: the temperature, degrees Celsius.
    """

    motor: str
    celsius: float


def interbotix_features(config: RobotConfig) -> RobotFeatures:
    """Returns the features of a robot behind Interbotix's drivers. Grippers are the angles of their motors, rad."""
    convention = grippers.convention_of(config)
    ends = np.array([convention.motor_from_opening(opening) for opening in (0.0, 1.0)])
    return _features(config, "interbotix", "rad", ends, gripper=aloha.GRIPPER, effort_unit="mA", reads_motors=True)


def ros2_control_features(config: RobotConfig) -> RobotFeatures:
    """Returns the features of a robot behind ros2_control's controllers. Grippers are left fingers, m."""
    ends = np.array(grippers.FINGER_LIMITS)
    return _features(config, "ros2_control", "m", ends, gripper=aloha.LEFT_FINGER, effort_unit="", reads_motors=False)


def _features(
    config: RobotConfig,
    backend: str,
    unit: str,
    ends: np.ndarray,
    *,
    gripper: str,
    effort_unit: str,
    reads_motors: bool,
) -> RobotFeatures:
    lower, upper = np.array(aloha.LOWER_LIMITS), np.array(aloha.UPPER_LIMITS)
    lower[aloha.GRIPPER_INDICES], upper[aloha.GRIPPER_INDICES] = np.min(ends), np.max(ends)
    names = tuple(f"follower_{side}/{joint}" for side in aloha.SIDES for joint in (*aloha.ARM_JOINTS, gripper))
    units = tuple((*["rad"] * len(aloha.ARM_JOINTS), unit) * len(aloha.SIDES))
    return RobotFeatures(
        backend=backend,
        commands=EndFeatures(names, units, lower, upper, config.control_rate),
        states=EndFeatures(names, units, lower, upper, DRIVER_STATE_RATE),
        max_velocity=config.max_velocity,
        effort_unit=effort_unit,
        has_temperatures=reads_motors,
        switches_torque_off=reads_motors,
        sleep_pose=aloha.SLEEP_POSE,
    )
