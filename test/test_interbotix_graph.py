"""Tests robot_node with the back end `interbotix` and a fake driver for each arm."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import rclpy
from chunk_ppo_msgs.msg import EpisodeEvent, ExecutionResult
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from chunk_ppo_ros.nodes.robot.robot_node import RobotNode
from chunk_ppo_ros.nodes.wire import qos
from chunk_ppo_ros.nodes.wire.arrays import header_of
from chunk_ppo_ros.robot import aloha
from support.heard_results import hear_results
from support.robot_rig import PERIOD, trajectory
from support.service_paths import SERVICE_PATHS
from support.spinner import Spinner

pytestmark = [pytest.mark.graph("drivers"), pytest.mark.usefixtures("interbotix_messages")]

PARAMETERS = {
    "env.simulator": "none",
    "robot.backend": "interbotix",
    "robot.max_following_error": 0.3,
    "robot.max_current": 3000.0,
    "robot.max_gripper_current": 600.0,
    "robot.max_temperature": 70.0,
    "robot.max_velocity": 1.5,
    "robot.max_acceleration": 10.0,
    "robot.scripted_velocity": 1.5,
    "robot.state_timeout": 3.0,  # The drivers run in this process, beside other tests.
    "model.action_horizon": 100,
}
MAX_STEP = 1.5 * PERIOD + 1e-6  # rad; commands are rounded to float32


class Policy(Node):
    """Sends chunks as policy_node does, starts episodes as reward_node does, and collects the results."""

    def __init__(self) -> None:
        super().__init__("policy", use_global_arguments=False)
        self.results: list[ExecutionResult] = []
        self.robot_says = ""
        self._chunks = {
            side: self.create_publisher(JointTrajectory, f"robot/{side}/joint_trajectory", qos.COMMAND)
            for side in aloha.SIDES
        }
        self._events = self.create_publisher(EpisodeEvent, "episode_event", qos.LATCHED)
        hear_results(self, self.results)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.RELIABLE)

    def start_episode(self) -> None:
        stamp = self.get_clock().now().nanoseconds
        self._events.publish(EpisodeEvent(header=header_of(stamp), run_id="run", event=EpisodeEvent.STARTED))

    def end_episode(self) -> None:
        stamp = self.get_clock().now().nanoseconds
        self._events.publish(EpisodeEvent(header=header_of(stamp), run_id="run", event=EpisodeEvent.ENDED))

    def send(self, targets: np.ndarray) -> None:
        stamp = self.get_clock().now().nanoseconds
        for side, publisher in self._chunks.items():
            publisher.publish(trajectory(targets[:, aloha.side_slice(side)], stamp=stamp))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == "robot_node: chunk player":
                self.robot_says = status.message


class Graph(Spinner):
    """robot_node, the policy, and the drivers of both arms, which run in threads of their own."""

    def __init__(self, stack: ExitStack) -> None:
        from support.fake_driver import running_driver

        self.policy, self.robot = Policy(), RobotNode()
        super().__init__(self.policy, self.robot)
        self.drivers = {side: stack.enter_context(running_driver(side, register_time=0.01)) for side in aloha.SIDES}
        self.policy.start_episode()

    def end_episode(self) -> None:
        self.policy.end_episode()
        self.until(lambda: "ended" in self.robot.suspended)

    def call(self, service: str) -> tuple[bool, str]:
        """Calls a service of robot_node and returns its answer."""
        client = self.policy.create_client(Trigger, SERVICE_PATHS[service])
        self.until(client.service_is_ready)
        future = client.call_async(Trigger.Request())
        self.until(future.done)
        return future.result().success, future.result().message

    def chunk(self, targets: np.ndarray) -> ExecutionResult:
        """Sends a chunk and waits for its result."""
        self.policy.send(targets)
        self.until(lambda: bool(self.policy.results))
        return self.policy.results.pop()

    def until_prepared(self) -> None:
        """Sends chunks in which nothing moves until one is executed."""
        still = np.tile(aloha.START_POSE, (2, 1))
        self.until(lambda: self.chunk(still).status == ExecutionResult.EXECUTED)

    def arm_commands(self, side: str) -> np.ndarray:
        return np.array([angles for kind, angles in self.drivers[side].motors.commands if kind == "arm"])


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    parameters = {**PARAMETERS, "run.run_dir": str(tmp_path)}
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    rclpy.init(args=["--ros-args", *words])
    with ExitStack() as stack:
        graph = Graph(stack)
        stack.callback(graph.close)
        yield graph
    rclpy.shutdown()


def ramp(num_steps: int) -> np.ndarray:
    """Returns a motion of both waists by 0.01 rad a step, and of both grippers by 0.02 of their range."""
    targets = np.tile(aloha.START_POSE, (num_steps, 1))
    steps = np.arange(1, num_steps + 1)[:, None]
    targets[:, [0, 7]] += 0.01 * steps
    targets[:, aloha.GRIPPER_INDICES] += 0.02 * steps
    return targets


def test_a_chunk_is_executed_and_the_motors_follow(graph: Graph) -> None:
    refused = graph.chunk(ramp(4))
    assert refused.status == ExecutionResult.REFUSED
    assert "follower_left: " in refused.message
    graph.until_prepared()
    result = graph.chunk(ramp(30))
    assert (result.status, result.num_steps) == (ExecutionResult.EXECUTED, 30), result.message
    graph.spin(0.3)
    for driver in graph.drivers.values():
        assert driver.motors.positions["waist"] == pytest.approx(0.3, abs=0.02)
        # The opening is 0.1 + 30 0.02 = 0.7: -0.6213 + 0.7 * 2.1123 = 0.85731 rad. The last 0.005 rad are not sent.
        assert driver.motors.positions["gripper"] == pytest.approx(0.85731, abs=0.05)
        assert driver.motors.mistakes == []
    for side in aloha.SIDES:
        assert np.abs(np.diff(graph.arm_commands(side), axis=0)).max() <= MAX_STEP


def test_a_failed_read_moves_nothing(graph: Graph) -> None:
    graph.until_prepared()
    graph.policy.send(ramp(100))
    left = graph.drivers["left"]
    graph.until(lambda: left.motors.positions["waist"] > 0.1)
    left.motors.reads = False
    graph.until(lambda: bool(graph.policy.results))
    result = graph.policy.results.pop()
    assert result.status == ExecutionResult.FAULT and result.num_steps < 100
    graph.spin(0.5)
    stopped = dict(left.motors.positions)
    for side in aloha.SIDES:
        commands = graph.arm_commands(side)
        assert np.abs(np.diff(commands, axis=0)).max() <= MAX_STEP
        assert np.all(np.abs(commands) < 1.5)  # No command goes to -pi.
    assert graph.chunk(np.tile(aloha.START_POSE, (4, 1))).status == ExecutionResult.REFUSED
    graph.spin(0.3)
    assert left.motors.positions == pytest.approx(stopped)


def test_a_gripper_that_goes_limp_in_a_chunk_is_a_fault_with_its_name(graph: Graph) -> None:
    graph.until_prepared()
    graph.policy.send(ramp(100))
    left = graph.drivers["left"]
    graph.until(lambda: left.motors.positions["waist"] > 0.1)
    left.motors.errors["gripper"] = 32
    graph.until(lambda: bool(graph.policy.results))
    result = graph.policy.results.pop()
    assert (result.status, result.num_steps) == (ExecutionResult.FAULT, 0)
    assert "the left gripper has no torque" in result.message


def test_a_motor_with_too_much_current_is_a_fault_and_the_robot_gives_way(graph: Graph) -> None:
    graph.until_prepared()
    graph.policy.send(ramp(100))
    right = graph.drivers["right"].motors
    graph.until(lambda: right.positions["waist"] > 0.1)
    right.currents["gripper"] = 700.0
    right.speed = 0.2
    graph.until(lambda: bool(graph.policy.results))
    result = graph.policy.results.pop()
    assert result.status == ExecutionResult.FAULT
    assert "the right gripper is obstructed: its motor needs 700 mA, more than 600 mA" in result.message
    right.currents.clear()
    pressed = right.goals["gripper"]
    graph.spin(1.0)
    assert right.goals["gripper"] < pressed - 0.05  # The gripper opens, and its command goes back to where it is.


def test_a_motor_that_is_too_hot_lets_the_robot_hold_and_be_put_down(graph: Graph) -> None:
    graph.until_prepared()
    graph.drivers["left"].motors.registers["Present_Temperature"]["elbow"] = 75
    still = np.tile(aloha.START_POSE, (2, 1))

    def is_refused() -> bool:
        graph.spin(2.0)  # Temperatures are read while nothing is sent.
        return "the left elbow is too hot: 75 C" in graph.chunk(still).message

    graph.until(is_refused)
    graph.end_episode()
    assert graph.call("go_to_start_pose") == (True, "the robot is there")


def test_an_arm_that_had_no_torque_starts_where_it_is_once_the_operator_has_looked(graph: Graph) -> None:
    graph.until_prepared()
    assert graph.chunk(ramp(20)).status == ExecutionResult.EXECUTED  # Both waists are at 0.2 rad.
    left = graph.drivers["left"].motors
    graph.until(lambda: left.positions["waist"] == left.goals["waist"] == pytest.approx(0.2))
    left.torque["waist"] = False
    # Whether the motors have torque is read while nothing is sent, so that no chunk is sent before the robot knows it.
    graph.until(lambda: "have no torque: waist" in graph.policy.robot_says)
    left.positions["waist"] = left.goals["waist"] = 0.1  # It sinks, by less than robot.max_start_jump.
    still = np.tile(aloha.START_POSE, (2, 1))
    assert "have no torque: waist" in graph.chunk(still).message
    assert left.positions["waist"] == left.goals["waist"] == 0.1
    left.torque["waist"] = True
    graph.until(lambda: "have lost their goals" in graph.chunk(still).message)
    count = len(graph.arm_commands("left"))
    graph.policy.start_episode()  # The operator does.
    targets = np.tile(aloha.START_POSE, (4, 1))
    targets[:, [0, 7]] = 0.1
    graph.until(lambda: graph.chunk(targets).status == ExecutionResult.EXECUTED)
    first = graph.arm_commands("left")[count]
    assert abs(first[0] - 0.1) <= 0.01  # It does not leap back to 0.2 rad.


def test_the_torque_is_switched_off_from_the_sleep_pose_when_it_is_asked_for_twice(graph: Graph) -> None:
    graph.until_prepared()
    graph.end_episode()
    success, message = graph.call("torque_off")
    assert not success and message.startswith("the torque stays on: the left wrist_angle must be within 0.1 rad of")
    assert graph.call("go_to_sleep_pose") == (True, "the robot is there")
    success, message = graph.call("torque_off")
    assert not success and "call torque_off again within 10 s" in message
    assert all(all(driver.motors.torque.values()) for driver in graph.drivers.values())
    assert graph.call("torque_off") == (True, "the torque of both arms is off")
    for driver in graph.drivers.values():
        assert not any(driver.motors.torque.values())
        assert driver.motors.positions["shoulder"] == pytest.approx(-1.85005, abs=1e-3)
    assert "/torque_enable " in graph.call("go_to_start_pose")[1]
    for driver in graph.drivers.values():
        driver.motors.positions["shoulder"] = driver.motors.goals["shoulder"] = -2.05  # The arms sink.
        driver.motors.torque.update(dict.fromkeys(driver.motors.torque, True))
    graph.until(lambda: graph.spin(0.5) or "lost their goals" in graph.call("go_to_start_pose")[1])
    assert graph.call("confirm_motion")[0]
    count = {side: len(graph.arm_commands(side)) for side in aloha.SIDES}
    graph.end_episode()
    assert graph.call("go_to_start_pose") == (True, "the robot is there")
    for side in aloha.SIDES:
        commands = graph.arm_commands(side)[count[side] :]
        assert commands[0][1] == pytest.approx(-2.05, abs=0.02)
        assert np.abs(np.diff(commands, axis=0)).max() <= MAX_STEP
        np.testing.assert_allclose(commands[-1], aloha.START_POSE[:6], atol=1e-6)


def test_a_command_finds_the_interface_package_beside_the_fake_drivers(repository: Path) -> None:
    program = "import interbotix_xs_msgs.srv as srv, sys; sys.exit(len(srv.RobotInfo.Response().joint_names) + 3)"
    runner = repository / "test" / "support" / "run_fake_drivers.py"
    result = subprocess.run([sys.executable, runner, sys.executable, "-c", program], capture_output=True, timeout=60)
    assert result.returncode == 3, result.stderr


def test_the_folder_of_the_stand_in_is_printed_where_the_package_is_not_installed(repository: Path) -> None:
    program = [sys.executable, repository / "test" / "support" / "interbotix_messages.py"]
    printed = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
    assert (Path(printed) / "interbotix_xs_msgs" / "srv" / "__init__.py").is_file()
    environment = os.environ | {"PYTHONPATH": printed}
    again = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True, env=environment)
    assert again.stdout == ""
