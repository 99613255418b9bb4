"""Tests sim_node as a mirror, which shows where the drivers of a robot have the arms."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rclpy
from chunk_ppo_msgs.msg import EpisodeEvent, ExecutionResult, TaskReward
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from chunk_ppo_ros.config import PRESETS, EnvConfig
from chunk_ppo_ros.nodes.sim.sim_node import SimNode
from chunk_ppo_ros.nodes.wire import qos, topics
from chunk_ppo_ros.nodes.wire.arrays import header_of, time_to_ns
from chunk_ppo_ros.nodes.wire.sensors.joints import StateMessage
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.grippers import GRIPPER_CONVENTIONS
from chunk_ppo_ros.runtime.graph import describe
from support.spinner import Spinner

pytestmark = pytest.mark.graph

PERIOD = 0.02  # s


class Drivers(Node):
    """Publishes joint states of both arms, and collects what the mirror sends."""

    def __init__(self) -> None:
        super().__init__("drivers", use_global_arguments=False)
        self.pose = np.array(aloha.START_POSE)
        self.images: list[Image] = []
        self.rewards: list[TaskReward] = []
        self.num_starts = 0
        convention = GRIPPER_CONVENTIONS["openpi"]
        self._messages = {side: StateMessage(convention) for side in aloha.SIDES}
        self._states = {side: topic.create_publisher(self) for side, topic in topics.FOLLOWER_STATES.items()}
        self.create_timer(PERIOD / 2, self._publish)
        self.events = self.create_publisher(EpisodeEvent, "episode_event", qos.LATCHED)
        self.results = self.create_publisher(ExecutionResult, "execution_result", qos.RELIABLE)
        self.create_subscription(Image, "cam_high/camera/color/image_rect_raw", self.images.append, qos.SENSOR)
        self.create_subscription(TaskReward, "task_reward", self.rewards.append, qos.RELIABLE)
        self.create_service(Trigger, "reward_node/start_episode", self._on_start)

    def now(self) -> int:
        return self.get_clock().now().nanoseconds

    def tell(self, event: int, *, seed: int = 0) -> None:
        self.events.publish(EpisodeEvent(header=header_of(self.now()), run_id="run", event=event, seed=seed))

    def _publish(self) -> None:
        for side, publisher in self._states.items():
            state = self.pose[aloha.side_slice(side)]
            publisher.publish(self._messages[side].fill(state, stamp=self.now()))

    def _on_start(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.num_starts += 1
        return response


class Graph(Spinner):
    """The mirror and the drivers in one process."""

    def __init__(self) -> None:
        self.drivers, self.mirror = Drivers(), SimNode()
        super().__init__(self.drivers, self.mirror)

    def shown(self) -> np.ndarray:
        return self.mirror.simulator.state()

    def balls(self) -> np.ndarray:
        """Returns where the task has its objects, m."""
        return np.array([pose.position for pose in self.mirror.simulator.scene().poses.values()])

    def follows(self) -> bool:
        return bool(np.allclose(self.shown(), self.drivers.pose, atol=1e-5))

    def reward(self) -> TaskReward:
        """Returns the judgment of a chunk that ends now."""
        self.drivers.rewards.clear()
        header = header_of(self.drivers.now())
        self.drivers.results.publish(ExecutionResult(header=header, end=header.stamp, num_steps=1))
        self.until(lambda: bool(self.drivers.rewards))
        return self.drivers.rewards[0]


@pytest.fixture
def graph() -> Iterator[Graph]:
    parameters = ("env.simulator:=none", "env.mirror:=kinematic", "env.realtime:=true")
    rclpy.init(args=["--ros-args", *(word for each in parameters for word in ("-p", each))])
    graph = Graph()
    graph.until(lambda: graph.follows() and graph.drivers.results.get_subscription_count())
    yield graph
    graph.close()
    rclpy.shutdown()


def test_the_arms_follow_the_joint_states_and_the_images_show_them(graph: Graph) -> None:
    drivers = graph.drivers
    graph.until(lambda: bool(drivers.images))
    before = drivers.images[-1]
    drivers.pose += 0.1 * np.isin(np.arange(14), aloha.ARM_INDICES)
    graph.until(graph.follows)
    drivers.images.clear()
    graph.until(lambda: len(drivers.images) >= 2)
    assert bytes(drivers.images[-1].data) != bytes(before.data)
    assert abs(drivers.now() - time_to_ns(drivers.images[-1].header.stamp)) < 5 * 10**9
    # The drivers alone publish joint states, and nobody takes commands.
    assert drivers.count_publishers("follower_left/joint_states") == 1
    assert drivers.count_subscribers(topics.ARM_COMMANDS["left"].name) == 0


def test_a_failed_read_moves_no_arm(graph: Graph) -> None:
    shown = graph.shown()
    graph.drivers.pose = np.where(np.isin(np.arange(14), aloha.ARM_INDICES), -np.pi, graph.drivers.pose)
    graph.spin(0.3)
    np.testing.assert_array_equal(graph.shown(), shown)
    graph.drivers.pose = np.array(aloha.START_POSE)
    graph.drivers.pose[0] = 0.2
    graph.until(graph.follows)


def test_a_reset_moves_the_scene_and_not_the_arms_and_only_an_operator_starts(graph: Graph) -> None:
    graph.drivers.pose[[0, 7]] = 0.3
    graph.until(graph.follows)
    before = graph.balls()
    graph.drivers.tell(EpisodeEvent.RESET, seed=11)
    graph.until(lambda: np.any(graph.balls() != before))
    assert graph.follows()
    graph.spin(0.5)
    assert graph.drivers.num_starts == 0


def test_only_what_happens_in_an_episode_is_judged(graph: Graph) -> None:
    before = graph.balls()
    graph.drivers.tell(EpisodeEvent.RESET, seed=3)
    graph.until(lambda: np.any(graph.balls() != before))
    graph.drivers.pose[1] = -0.6
    graph.until(graph.follows)
    graph.drivers.tell(EpisodeEvent.STARTED)
    graph.drivers.images.clear()
    graph.until(
        lambda: len(graph.drivers.images) >= 10
    )  # The mirror has taken its turns, also where the machine is busy.
    assert abs(graph.reward().terms[0].value) < 1e-6
    graph.drivers.pose[1] = -0.9
    graph.until(graph.follows)
    assert abs(graph.reward().terms[0].value) > 1e-3


def test_a_mirror_stands_only_beside_drivers_of_another_program() -> None:
    with pytest.raises(ValueError, match="env.mirror must be none with env.simulator mujoco, got kinematic"):
        EnvConfig(simulator="mujoco", mirror="kinematic")
    env = EnvConfig(simulator="none", mirror="kinematic")
    assert env.is_real
    assert (env.scene_simulator, env.has_scene, env.is_lockstep) == ("kinematic", True, False)
    assert not EnvConfig(simulator="none").has_scene


def test_the_graph_of_a_mirror_has_sim_node(tmp_path: Path) -> None:
    debug = PRESETS["debug"]
    run = dataclasses.replace(debug.run, run_dir=str(tmp_path), checkpoint_root=str(tmp_path))
    env = EnvConfig(simulator="none", mirror="kinematic")
    names = [node.name for node in describe(dataclasses.replace(debug, env=env, run=run)).nodes]
    assert names == ["trainer_node", "policy_node", "reward_node", "robot_node", "sim_node"]
