"""Tries the robot at the start of a day: each joint moves by 2 degrees and back, the grippers open and close.

The drivers, the cameras and robot_node must run, and no episode. The operator is asked before anything moves. Direction
and following of each joint are checked, and whether each wrist camera is on the arm that its name says. A report with
pictures is written into the folder of the run.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.findings.text import has_errors
from chunk_ppo_ros.core.folders import check_folder
from chunk_ppo_ros.nodes.common.ros_log_folder import ensure_log_folder
from chunk_ppo_ros.nodes.start_of_day.flags import start_of_day_parser
from chunk_ppo_ros.nodes.start_of_day.operator import Console, NobodyAsked, Operator
from chunk_ppo_ros.nodes.start_of_day.pace import Pace
from chunk_ppo_ros.nodes.start_of_day.procedure import StartOfDay, stopped
from chunk_ppo_ros.nodes.start_of_day.report import folder_of, write_report
from chunk_ppo_ros.nodes.start_of_day.robot_link import MotionFailed, RobotLink
from chunk_ppo_ros.robot.grippers import convention_of
from chunk_ppo_ros.runtime.robot_flags import robot_config
from chunk_ppo_ros.runtime.ros_domain import domain_of_environment, keep_to_this_machine

STARTING_TIMEOUT = 10.0
"""The seconds within which the arms, the cameras and robot_node must be found."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the check and writes the report. Returns 1 where something is an error, and 0 otherwise."""
    parser = start_of_day_parser()
    given = parser.parse_args(arguments)
    config = robot_config(parser, given)
    pace = Pace(speed=given.speed, gripper_speed=given.gripper_speed, settling=given.settling)
    domain_of_environment()
    keep_to_this_machine()
    ensure_log_folder()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        robot = RobotLink(config, SingleThreadedExecutor(), namespace=given.namespace)
        robot.await_robot(STARTING_TIMEOUT)
        return try_robot(robot, NobodyAsked() if given.yes else Console(), config, pace)
    finally:
        rclpy.try_shutdown()


def try_robot(robot: RobotLink, operator: Operator, config: TrainConfig, pace: Pace) -> int:
    """Makes the check, also writes the report where it is stopped, and returns the exit status."""
    now = datetime.datetime.now().astimezone()
    folder = folder_of(config.run.folder, now)
    check_folder(folder, "run.run_dir")
    check = StartOfDay(robot, operator, convention_of(config.robot), pace)
    try:
        check.run(robot.cameras)
    except KeyboardInterrupt:
        _stop(robot, operator)
        check.findings["joints"].append(stopped("by Ctrl-C"))
    page = write_report(folder, check.findings, robot.pictures(), now=now)
    operator.tell(f"the report is {page}")
    return 1 if has_errors(check.findings) else 0


def _stop(robot: RobotLink, operator: Operator) -> None:
    """Lets the robot brake. A robot that does not move any more says no, which is as well."""
    try:
        robot.call("stop_scripted_motion")
    except MotionFailed as failure:
        operator.tell(str(failure))
