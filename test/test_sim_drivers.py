"""Tests sim_node in the part of Interbotix's drivers, together with robot_node and its back end for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rclpy
from chunk_ppo_msgs.msg import EpisodeEvent, ExecutionResult
from rclpy.node import Node
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from chunk_ppo_ros.nodes.common.interbotix_interfaces import load_interfaces
from chunk_ppo_ros.nodes.robot.robot_node import RobotNode
from chunk_ppo_ros.nodes.sim.driver_commands import DriverCommands
from chunk_ppo_ros.nodes.sim.sim_node import SimNode
from chunk_ppo_ros.nodes.wire import qos, topics
from chunk_ppo_ros.nodes.wire.arrays import header_of
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.grippers import GRIPPER_CONVENTIONS
from support.heard_results import hear_results
from support.robot_rig import trajectory
from support.spinner import Spinner

pytestmark = [pytest.mark.graph("drivers"), pytest.mark.usefixtures("interbotix_messages")]

HORIZON = 16


def call(spinner: Spinner, node: Node, service: str, kind: type, /, **request: object) -> object:
    """Calls a service from a node and returns its answer."""
    client = node.create_client(kind, service)
    spinner.until(client.service_is_ready)
    future = client.call_async(kind.Request(**request))  # type: ignore[attr-defined]
    spinner.until(future.done)
    return future.result()


class Policy(Node):
    """Sends chunks as policy_node does, and calls the services of the drivers."""

    def __init__(self) -> None:
        super().__init__("policy", use_global_arguments=False)
        self.results: list[ExecutionResult] = []
        self._chunks = {
            side: self.create_publisher(JointTrajectory, f"robot/{side}/joint_trajectory", qos.COMMAND)
            for side in aloha.SIDES
        }
        self.events = self.create_publisher(EpisodeEvent, "episode_event", qos.LATCHED)
        hear_results(self, self.results)
        self._num_sent = 0
        self.num_starts = 0  # calls of start_episode
        self.create_service(Trigger, "reward_node/start_episode", self._on_start)
        self.stamp = 0  # of the newest joint states, ns
        topics.FOLLOWER_STATES["right"].create_subscription(self, self._on_states)

    def _on_start(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.num_starts += 1
        response.success = True
        return response

    def _on_states(self, message: object) -> None:
        stamp = message.header.stamp  # type: ignore[attr-defined]
        self.stamp = stamp.sec * 10**9 + stamp.nanosec

    def send(self, targets: np.ndarray) -> None:
        """Sends a chunk with a stamp of its own, although time stands still between chunks."""
        self._num_sent += 1
        for side, publisher in self._chunks.items():
            half = targets[:, aloha.side_slice(side)]
            publisher.publish(trajectory(half, stamp=self.stamp + self._num_sent, seen=self.stamp))


class Graph(Spinner):
    """sim_node, robot_node and the policy in one process."""

    def __init__(self) -> None:
        self.policy, self.robot, self.sim = Policy(), RobotNode(), SimNode()
        super().__init__(self.policy, self.robot, self.sim)

    def start_episode(self) -> None:
        self.tell(EpisodeEvent.STARTED)

    def tell(self, event: int) -> None:
        self.policy.events.publish(EpisodeEvent(header=header_of(1), run_id="run", event=event, seed=1))

    def chunk(self, targets: np.ndarray) -> ExecutionResult:
        """Sends a chunk and waits for its result."""
        self.policy.send(targets)
        self.until(lambda: bool(self.policy.results))
        return self.policy.results.pop()

    def until_prepared(self) -> None:
        """Sends chunks that ask for the present pose until one is executed."""
        still = np.tile(self.sim.simulator.state().astype(float), (2, 1))
        self.until(lambda: self.chunk(still).status == ExecutionResult.EXECUTED)


@contextmanager
def running(folder: Path, backend: str, **more: str) -> Iterator[Graph]:
    parameters = {
        "robot.backend": backend,
        "env.simulator": "kinematic",
        "robot.max_start_jump": 6.3,
        "robot.max_observation_age": 1000.0,
        "robot.chunk_deadline": 1000.0,
        "run.run_dir": folder / backend,  # robot_node repeats results that it finds there
        **more,
    }
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    simulated_time = "env.realtime" not in more
    rclpy.init(args=["--ros-args", "-p", f"robot_node:use_sim_time:={str(simulated_time).lower()}", *words])
    graph = Graph()
    try:
        graph.until(lambda: graph.policy.stamp > 0)
        graph.start_episode()
        yield graph
    finally:
        graph.close()
        rclpy.shutdown()


def random_chunks() -> list[np.ndarray]:
    """Returns three chunks whose targets leap, so that the limits bind, with grippers that move and that rest."""
    draw = np.random.default_rng(3)
    chunks = [np.tile(aloha.START_POSE, (HORIZON, 1)) + draw.normal(0, 0.05, (HORIZON, 14)) for _ in range(3)]
    chunks[1][:, aloha.GRIPPER_INDICES] = 0.4
    chunks[2][:, aloha.GRIPPER_INDICES] = 0.4 + 0.001 * np.arange(HORIZON)[:, None]  # below the step of real drivers
    return chunks


def test_both_back_ends_execute_the_same_chunks_alike(tmp_path: Path) -> None:
    seen = {}
    for backend in ("ros2_control", "interbotix"):
        with running(tmp_path, backend) as graph:
            graph.until_prepared()
            results = [graph.chunk(chunk) for chunk in random_chunks()]
            assert [result.status for result in results] == [ExecutionResult.EXECUTED] * 3
            seen[backend] = [np.array(result.commanded) for result in results], graph.sim.simulator.state()
    commanded, state = zip(*seen.values(), strict=True)
    # The angles of Interbotix's commands are float32, whose spacing is 2.4e-7 rad at 3 rad.
    np.testing.assert_allclose(np.concatenate(commanded[0]), np.concatenate(commanded[1]), atol=1e-6)
    np.testing.assert_allclose(state[0], state[1], atol=1e-6)


def test_no_episode_starts_before_robot_node_has_prepared_the_drivers(tmp_path: Path) -> None:
    with running(tmp_path, "interbotix") as graph:
        graph.tell(EpisodeEvent.RESET)
        graph.until(lambda: graph.policy.num_starts > 0)
        graph.start_episode()
        graph.spin(0.2)
        still = np.tile(graph.sim.simulator.state().astype(float), (2, 1))
        assert graph.chunk(still).status == ExecutionResult.EXECUTED


def test_an_arm_without_torque_is_refused_until_it_has_it_again(tmp_path: Path) -> None:
    with running(tmp_path, "interbotix") as graph:
        graph.until_prepared()
        still = np.tile(graph.sim.simulator.state().astype(float), (2, 1))
        switch, service = load_interfaces().torque_enable, "follower_left/torque_enable"
        call(graph, graph.policy, service, switch, cmd_type="single", name="elbow", enable=False)
        # robot_node looks at the motors while it sends no commands.
        graph.until(lambda: graph.spin(0.8) or "no torque: elbow" in graph.chunk(still).message)
        call(graph, graph.policy, service, switch, cmd_type="single", name="elbow", enable=True)
        graph.until(lambda: graph.spin(0.8) or graph.chunk(still).status == ExecutionResult.EXECUTED)


def test_in_real_time_a_gripper_that_rests_is_commanded_once(tmp_path: Path) -> None:
    from interbotix_xs_msgs.msg import JointSingleCommand

    heard: list[float] = []
    patient = {"env.realtime": "true", "env.camera_rate": "5.0", "robot.state_timeout": "5.0"}
    with running(tmp_path, "interbotix", **patient) as graph:
        topic = "follower_left/commands/joint_single"
        graph.policy.create_subscription(JointSingleCommand, topic, lambda message: heard.append(message.cmd), 10)
        graph.until_prepared()
        target = graph.sim.simulator.state().astype(float)
        target[[0, 6]] += [0.2, 0.3]
        chunk = np.tile(target, (HORIZON, 1))
        graph.until(lambda: graph.chunk(chunk).status == ExecutionResult.EXECUTED)
        graph.until(lambda: np.allclose(graph.sim.simulator.state()[[0, 6]], target[[0, 6]], atol=1e-4))
    # The openings of openpi are -0.6213..1.4910 rad. A gripper opens by 8 a second, which is 0.3 in two steps of 16, or
    # in a few more where a busy machine makes steps at short intervals.
    assert heard[-1] == pytest.approx(-0.6213 + 2.1123 * target[6], abs=0.005)
    assert 2 <= len(heard) <= HORIZON


class Drivers(Spinner):
    """Both drivers alone, and a node that commands the left arm."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("drivers")
        super().__init__(self.node)
        self.targets: list[np.ndarray] = []
        interfaces = load_interfaces()
        DriverCommands(self.node, GRIPPER_CONVENTIONS["openpi"], self.targets.append, lockstep=False)
        self._arm = self.node.create_publisher(interfaces.group_command, "follower_left/commands/joint_group", 10)
        self._gripper = self.node.create_publisher(interfaces.single_command, "follower_left/commands/joint_single", 10)
        self.until(self._arm.get_subscription_count)

    def arm(self, angles: list[float], *, name: str = "arm") -> None:
        self._arm.publish(load_interfaces().group_command(name=name, cmd=angles))

    def gripper(self, motor: float) -> None:
        self._gripper.publish(load_interfaces().single_command(name="gripper", cmd=motor))


def called(drivers: Drivers, service: str, kind: type, /, **request: object) -> object:
    """Calls a service of the left driver."""
    return call(drivers, drivers.node, f"follower_left/{service}", kind, **request)


@pytest.fixture
def drivers() -> Iterator[Drivers]:
    rclpy.init()
    drivers = Drivers()
    yield drivers
    drivers.close()
    rclpy.shutdown()


def test_a_malformed_command_is_not_used(drivers: Drivers, capfd: pytest.CaptureFixture[str]) -> None:
    drivers.arm([0.0] * 5)
    drivers.arm([0.0] * 5 + [np.nan])
    drivers.arm([0.0] * 6, name="legs")
    drivers.gripper(1.0)  # The driver starts it in linear_position, where this is a distance of 1 m.
    drivers.spin(0.2)
    assert drivers.targets == []
    assert capfd.readouterr().err.count("a command of follower_left is not used") == 4
    drivers.arm([0.1] * 6)
    drivers.until(lambda: bool(drivers.targets))
    np.testing.assert_allclose(drivers.targets[0], [*[0.1] * 6, *aloha.START_POSE[6:]], atol=1e-7)


def test_a_motor_without_torque_stays_and_a_mode_brings_it_back(drivers: Drivers) -> None:
    interfaces = load_interfaces()
    called(drivers, "torque_enable", interfaces.torque_enable, cmd_type="single", name="elbow", enable=False)
    drivers.arm([0.5] * 6)
    drivers.until(lambda: len(drivers.targets) == 1)
    np.testing.assert_allclose(drivers.targets[0][:6], [0.5, 0.5, 1.16, 0.5, 0.5, 0.5])
    called(drivers, "set_operating_modes", interfaces.operating_modes, cmd_type="group", name="arm", mode="position")
    drivers.arm([0.5] * 6)
    drivers.until(lambda: len(drivers.targets) == 2)
    np.testing.assert_allclose(drivers.targets[1][:6], 0.5)


def test_gains_and_registers_are_kept_and_unknown_names_change_nothing(drivers: Drivers) -> None:
    interfaces = load_interfaces()
    of_arm = {"cmd_type": "group", "name": "arm"}
    called(drivers, "set_motor_pid_gains", interfaces.motor_gains, kp_pos=100, **of_arm)
    called(drivers, "set_motor_registers", interfaces.register_values, reg="Goal_Current", value=300, **of_arm)
    called(drivers, "set_motor_registers", interfaces.register_values, reg="goal_current", value=500, **of_arm)
    for name, values in (("Position_P_Gain", [100] * 6), ("Goal_Current", [300] * 6), ("goal_current", [])):
        answer = called(drivers, "get_motor_registers", interfaces.register_values, reg=name, **of_arm)
        assert list(answer.values) == values
    called(drivers, "reboot_motors", interfaces.reboot, cmd_type="single", name="elbow", enable=False)
    answer = called(drivers, "get_motor_registers", interfaces.register_values, reg="Position_P_Gain", **of_arm)
    assert list(answer.values) == [100, 100, 800, 100, 100, 100]
    answer = called(drivers, "get_motor_registers", interfaces.register_values, reg="Torque_Enable", **of_arm)
    assert list(answer.values) == [1, 1, 0, 1, 1, 1]
    assert called(drivers, "get_robot_info", interfaces.robot_info, cmd_type="group", name="legs").num_joints == 0


def test_a_driver_tells_of_a_gripper_as_of_its_finger(drivers: Drivers) -> None:
    info = called(drivers, "get_robot_info", load_interfaces().robot_info, cmd_type="single", name="gripper")
    assert (list(info.joint_names), list(info.joint_state_indices)) == (["left_finger"], [7])
    assert (info.mode, info.num_joints, list(info.joint_ids)) == ("linear_position", 1, [9])
    np.testing.assert_allclose([info.joint_lower_limits[0], info.joint_upper_limits[0]], [0.021, 0.057])
