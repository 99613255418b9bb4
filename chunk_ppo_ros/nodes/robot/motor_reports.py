"""Says which motors are hot, which arms are outside their workspaces, and which tell no currents."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.sensors import sensor_conditions
from chunk_ppo_ros.nodes.common.status.diagnostics import key_values
from chunk_ppo_ros.nodes.robot.robot_backends import RobotBackend, features_of, temperatures_of
from chunk_ppo_ros.robot.features import MotorTemperature
from chunk_ppo_ros.robot.gate.motor_watch import hottest
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer

CURRENT_UNIT = "mA"
"""The unit of efforts that are the currents of motors."""


class MotorReports:
    """Looks at the temperatures of a back end, and at what the joint states told.

    Args:
        backend: the back end.
        config: the limits of temperatures.
        conditions: the conditions of the node.
        player: the chunk player, which has the watch of the currents.
    """

    def __init__(self, backend: RobotBackend, config: RobotConfig, conditions: Conditions, player: ChunkPlayer) -> None:
        self._backend, self._config, self._conditions, self._player = backend, config, conditions, player

    def problem(self) -> str:
        """Returns which motor is so hot that the robot holds, or an empty string."""
        motor = hottest(temperatures_of(self._backend), self._config.max_temperature)
        if motor is None:
            return ""
        return (
            f"the {motor.motor} is too hot: {motor.celsius:.0f} C, more than {self._config.max_temperature:g} C "
            "(robot.max_temperature); end the episode, call go_to_sleep_pose, and let the arms rest until it is cooler"
        )

    def status(self) -> DiagnosticStatus:
        """Returns the status for /diagnostics, and logs what has changed."""
        hot = hottest(temperatures_of(self._backend), self._config.warn_temperature)
        texts = [self.problem(), self._warn_of(hot), self._warn_of_currents(), self._warn_of_place()]
        level = DiagnosticStatus.ERROR if texts[0] else DiagnosticStatus.WARN if any(texts) else DiagnosticStatus.OK
        values = key_values({f"{each.motor}, C": each.celsius for each in temperatures_of(self._backend)})
        message = "; ".join(filter(None, texts)) or "the arms are in their workspaces, and no motor is hot"
        return DiagnosticStatus(level=level, name="robot_node: arms", message=message, values=values)

    def _warn_of(self, hot: MotorTemperature | None) -> str:
        limit = self._config.warn_temperature
        if hot is None:
            self._conditions.clear_condition(sensor_conditions.MOTOR_HOT)
            return ""
        condition = sensor_conditions.MOTOR_HOT
        self._conditions.raise_condition(sensor_conditions.MOTOR_HOT, motor=hot.motor, celsius=hot.celsius, limit=limit)
        return condition.text.format(motor=hot.motor, celsius=hot.celsius, limit=limit)

    def _warn_of_place(self) -> str:
        place = self._player.readiness.outside
        if not place:
            self._conditions.clear_condition(sensor_conditions.OUTSIDE_WORKSPACE)
            return ""
        self._conditions.raise_condition(sensor_conditions.OUTSIDE_WORKSPACE, place=place)
        return sensor_conditions.OUTSIDE_WORKSPACE.text.format(place=place)

    def _warn_of_currents(self) -> str:
        arms = self._player.motors.untold
        if not arms:
            self._conditions.clear_condition(sensor_conditions.CURRENTS_UNKNOWN)
            return ""
        self._conditions.raise_condition(sensor_conditions.CURRENTS_UNKNOWN, arms=arms)
        return sensor_conditions.CURRENTS_UNKNOWN.text.format(arms=arms)


def tells_currents(backend: RobotBackend) -> bool:
    """Returns whether the efforts in the joint states are currents in mA."""
    features = features_of(backend)
    return features is not None and features.effort_unit == CURRENT_UNIT
