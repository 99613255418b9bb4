"""The back end `interbotix`, which commands both arms through Interbotix's driver."""

from __future__ import annotations

import dataclasses
import itertools
import time

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.nodes.common.interbotix_interfaces import DriverInterfaces, load_interfaces
from chunk_ppo_ros.nodes.robot.interbotix import motor_facts
from chunk_ppo_ros.nodes.robot.interbotix.driver_link import DriverLink
from chunk_ppo_ros.nodes.robot.interbotix.findings import advice_of, driver_findings
from chunk_ppo_ros.nodes.robot.interbotix.follower import IDLE_TIME, Follower
from chunk_ppo_ros.nodes.robot.interbotix.leaders import leader_findings
from chunk_ppo_ros.nodes.robot.interbotix.motor_settings import MotorWishes
from chunk_ppo_ros.nodes.robot.interbotix.problem_log import ProblemLog
from chunk_ppo_ros.nodes.robot.robot_backends import Finding
from chunk_ppo_ros.robot import aloha, grippers
from chunk_ppo_ros.robot.features import MotorTemperature, RobotFeatures, interbotix_features

STEP_PERIOD = 0.02
"""The seconds between two steps of the preparation. Joint states come in between."""


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
        self._node = node
        self._config = config
        self._convention = grippers.convention_of(config)
        wishes = MotorWishes.of(config)
        self._followers = {side: Follower(DriverLink(node, side, interfaces), wishes) for side in aloha.SIDES}
        self._is_paced = False  # whether joint states come only in answer to commands
        self._bad_target = ""
        self._sent_at = 0.0
        self._log = ProblemLog(node.get_logger(), began=time.monotonic())
        node.create_timer(STEP_PERIOD, self._step, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def problem(self) -> str:
        """Returns what the drivers wait for or lack, or an empty string.

        It looks for new drivers first. A driver in its first mode must not get a command for the mode of the last one.
        """
        for follower in self._followers.values():
            follower.watch_driver()
        return "; ".join(filter(None, [self._bad_target, *(arm.problem for arm in self._followers.values())]))

    def only_waits(self) -> bool:
        """Returns whether the problem is only that drivers are waited for, or prepared, for the first time."""
        in_trouble = [arm for arm in self._followers.values() if arm.problem]
        return not self._bad_target and all(arm.is_first_wait for arm in in_trouble)

    def note_states(self, side: str, publisher: bytes) -> None:
        """Counts joint states of a driver, and notices a driver that is new by its id."""
        self._followers[side].note_states(publisher)

    def send_all(self) -> None:
        """Commands the grippers at each step from now on, which a simulator in lockstep waits for."""
        for follower in self._followers.values():
            follower.gripper_step = 0.0
        self._is_paced = True

    def features(self) -> RobotFeatures:
        """Returns names, units, rates and limits of commands and states, with the sleep poses that the drivers tell."""
        features = interbotix_features(self._config)
        pose = features.sleep_pose.copy()
        for side, follower in self._followers.items():
            told = follower.facts.sleep_positions
            if len(told) == len(aloha.ARM_JOINTS):
                pose[aloha.side_slice(side)][: len(told)] = told
        return dataclasses.replace(features, sleep_pose=pose.clip(aloha.LOWER_LIMITS, aloha.UPPER_LIMITS))

    def diagnose(self) -> tuple[Finding, ...]:
        """Returns what the drivers have told of their buses and motors, and who commands the leaders."""
        period = 1.0 / self._config.control_rate
        findings = (
            driver_findings(
                arm.name,
                arm.facts,
                arm.state_periods,
                control_period=period,
                is_paced=self._is_paced,
                max_gripper_current=self._config.max_gripper_current,
            )
            for arm in self._followers.values()
        )
        return (*itertools.chain.from_iterable(findings), *leader_findings(self._node))

    def temperatures(self) -> tuple[MotorTemperature, ...]:
        """Returns the newest temperatures that the drivers have told, while the robot stood still."""
        return tuple(
            MotorTemperature(f"{side} {motor}", float(value))
            for side, arm in self._followers.items()
            for motor, value in arm.facts.values(motor_facts.TEMPERATURE).items()
        )

    def goals_dropped(self) -> int:
        """Returns how often motors of an arm may have lost their goals: their torque was off, or their driver new."""
        return sum(arm.num_losses for arm in self._followers.values())

    async def switch_torque_off(self) -> str:
        """Switches the torque of both arms off, the left first. Returns why it is still on, or an empty string."""
        problems = [await arm.switch_torque_off() for arm in self._followers.values()]
        return "; ".join(problem for problem in problems if problem)

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
        """Logs the problem once when it changes, and how fast the buses are when there is none any more."""
        problem = self.problem()
        if not self._log.note(problem, is_first_wait=self.only_waits(), now=time.monotonic()):
            return
        findings = self.diagnose()
        buses = "; ".join(f"{each.name}: {each.value}" for each in findings if each.name.endswith("bus"))
        self._node.get_logger().info(f"the arms are prepared; commands go at {self._config.control_rate:g} Hz; {buses}")
        if advice := advice_of(findings):
            self._node.get_logger().warning(advice)

    def prepare_again(self) -> str:
        """Prepares both arms again, which reboots a gripper that has stopped with an error."""
        if time.monotonic() - self._sent_at < IDLE_TIME:
            return "the robot moves; pause or end the episode first"
        self._bad_target = ""
        for follower in self._followers.values():
            follower.prepare_again("is prepared again, as was asked for")
        return ""


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
