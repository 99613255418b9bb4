"""The back end for ros2_control, which uses trajectory controllers for the arm and the gripper of each side."""

from __future__ import annotations

import numpy as np
from rclpy.node import Node

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.nodes.common.peers.listeners import Listeners
from chunk_ppo_ros.nodes.robot.controller_checks import ControllerChecks
from chunk_ppo_ros.nodes.robot.robot_backends import Finding
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.sensors.joints import StepMessage
from chunk_ppo_ros.robot import aloha, grippers
from chunk_ppo_ros.robot.features import RobotFeatures, ros2_control_features


class Ros2ControlBackend:
    """Sends targets to ros2_control's trajectory controllers, one for the arm and one for the gripper of each side.

    Each step is a trajectory of one point, due one control period later. It replaces the trajectory before. Fingers
    stay within the range of their joint, which is a little smaller than the range of the gripper conventions.
    """

    def __init__(self, node: Node, config: RobotConfig, *, checks: ControllerChecks | None = None) -> None:
        """Makes the publishers.

        Args:
            node: the node that owns the publishers.
            config: the control rate, and the joint positions of an open and a closed gripper.
            checks: asks the controllers what they are like, or None where nobody does.
        """
        self._config = config
        self._checks = checks
        self._convention = grippers.convention_of(config)
        period = 1.0 / config.control_rate
        self._arm_message = StepMessage(aloha.ARM_JOINTS, period=period)
        self._gripper_message = StepMessage((aloha.LEFT_FINGER,), period=period)
        self._arms = {side: topic.create_publisher(node) for side, topic in topics.ARM_COMMANDS.items()}
        self._grippers = {side: topic.create_publisher(node) for side, topic in topics.GRIPPER_COMMANDS.items()}
        self._listeners = Listeners(node, [*self._arms.values(), *self._grippers.values()])
        self._is_heard = False  # whether controllers listened to all topics at the last look
        self._was_heard = False  # whether they ever did
        self._num_losses = 0

    def problem(self) -> str:
        """Returns which topics no controller listens to, or which one is not as it must be, or an empty string."""
        unheard = self._listeners.unheard()
        self._num_losses += bool(unheard) and self._is_heard
        self._is_heard = not unheard
        self._was_heard = self._was_heard or self._is_heard
        if unheard:
            return f"nobody listens to {', '.join(unheard)}; start the controllers of the arms"
        return self._checks.problem() if self._checks else ""

    def only_waits(self) -> bool:
        """Returns whether the controllers of all topics have not come yet since the start."""
        return not self._was_heard

    def goals_dropped(self) -> int:
        """Returns how often controllers have gone. Those that come again hold the arms where they are by then."""
        return self._num_losses

    def diagnose(self) -> tuple[Finding, ...]:
        """Returns what the controllers have told of themselves."""
        return self._checks.findings() if self._checks else ()

    def features(self) -> RobotFeatures:
        """Returns names, units, rates and limits of commands and states."""
        return ros2_control_features(self._config)

    def send(self, target: np.ndarray, *, stamp: int) -> None:
        """Sends four messages, one for the arm and one for the gripper of each side."""
        for side in aloha.SIDES:
            *arm, opening = target[aloha.side_slice(side)].tolist()
            finger = min(
                max(float(self._convention.driver_finger_from_opening(opening)), grippers.FINGER_LIMITS[0]),
                grippers.FINGER_LIMITS[1],
            )
            self._arms[side].publish(self._arm_message.fill(arm, stamp=stamp))
            self._grippers[side].publish(self._gripper_message.fill([finger], stamp=stamp))


def make_ros2_control(node: Node, config: RobotConfig) -> Ros2ControlBackend:
    """Makes the back end of a configuration."""
    return Ros2ControlBackend(node, config, checks=ControllerChecks(node, control_rate=config.control_rate))
