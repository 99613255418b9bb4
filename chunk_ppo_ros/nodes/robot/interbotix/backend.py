"""The back end `interbotix`, which commands both arms through Interbotix's driver."""

from __future__ import annotations

import time

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_srvs.srv import Trigger

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.nodes.common.interbotix_interfaces import DriverInterfaces, load_interfaces
from chunk_ppo_ros.nodes.robot.interbotix.driver_link import DriverLink
from chunk_ppo_ros.nodes.robot.interbotix.follower import IDLE_TIME, Follower
from chunk_ppo_ros.robot import aloha, grippers
from chunk_ppo_ros.robot.features import RobotFeatures, interbotix_features

STEP_PERIOD = 0.05
"""The seconds between two steps of the preparation."""


class InterbotixBackend:
    """Sends the arms' targets as groups of joint angles, and the grippers' as angles of their motors.

    A timer of the node prepares the drivers. Until both are prepared `problem` says what is waited for, and nothing is
    sent. When the node ends, the commands end, and the motors hold their last goals with torque.
    """

    def __init__(self, node: Node, config: RobotConfig, *, interfaces: DriverInterfaces) -> None:
        """Makes publishers, clients, the timer and the service `prepare_robot`.

        Args:
            node: the node that owns them.
            config: the control rate, and the motor angles of an open and a closed gripper.
            interfaces: the types of Interbotix's messages and services.
        """
        self._logger = node.get_logger()
        self._config = config
        self._convention = grippers.convention_of(config)
        self._followers = {side: Follower(DriverLink(node, side, interfaces)) for side in aloha.SIDES}
        self._bad_target = ""
        self._sent_at = 0.0
        self._logged = ""
        node.create_service(Trigger, "prepare_robot", self._on_prepare)
        node.create_timer(STEP_PERIOD, self._step, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def problem(self) -> str:
        """Returns what the drivers wait for or lack, or an empty string.

        It looks for new drivers first. A driver in its first mode must not get a command for the mode of the last one.
        """
        for follower in self._followers.values():
            follower.watch_driver()
        return "; ".join(filter(None, [self._bad_target, *(arm.problem for arm in self._followers.values())]))

    def send_all(self) -> None:
        """Commands the grippers at each step from now on, which a simulator in lockstep waits for."""
        for follower in self._followers.values():
            follower.gripper_step = 0.0

    def features(self) -> RobotFeatures:
        """Returns names, units, rates and limits of commands and states."""
        return interbotix_features(self._config)

    def send(self, target: np.ndarray, *, stamp: int) -> None:
        """Sends a target to the arms that are prepared. A target that is malformed is not sent, and is a problem."""
        self._bad_target = _malformed(target)
        if self._bad_target:
            return
        self._sent_at = now = time.monotonic()
        for side, follower in self._followers.items():
            *arm, opening = target[aloha.side_slice(side)].tolist()
            follower.send(arm, self._convention.motor_from_opening(opening), now=now)

    def _step(self) -> None:
        for follower in self._followers.values():
            follower.step(time.monotonic())
        self._log_change()

    def _log_change(self) -> None:
        """Logs the problem once when it changes, and the rates of the joint states when there is none any more."""
        problem = self.problem()
        if problem == self._logged:
            return
        if problem:
            self._logger.warning(f"the arms are not commanded: {problem}")
        else:
            rates = ", ".join(f"{arm.name} {arm.state_rate:.0f} Hz" for arm in self._followers.values())
            self._logger.info(
                f"the arms are prepared; joint states come at {rates}, commands go at {self._config.control_rate:g} Hz"
            )
        self._logged = problem

    def _on_prepare(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Prepares both arms again, which reboots a gripper that has stopped with an error."""
        response.success = time.monotonic() - self._sent_at >= IDLE_TIME
        if response.success:
            self._bad_target = ""
            for follower in self._followers.values():
                follower.prepare_again("is prepared again, as was asked for")
        response.message = (
            "the preparation of both arms has begun"
            if response.success
            else "the robot moves; pause or end the episode first"
        )
        return response


def _malformed(target: np.ndarray) -> str:
    """Returns why a target must not be sent, or an empty string. A driver in simulation ends at a malformed command."""
    if target.shape != (aloha.ACTION_DIM,) or not np.all(np.isfinite(target)):
        wanted = f"a target must be {aloha.ACTION_DIM} finite numbers"
        return f"{wanted}, got {target.tolist()}; this is a mistake in the program, so report it"
    return ""


def make_interbotix(node: Node, config: RobotConfig) -> InterbotixBackend:
    """Makes the back end of a configuration.

    Raises:
        RegistryError: if Interbotix's interface package is not installed.
    """
    return InterbotixBackend(node, config, interfaces=load_interfaces())
