"""Tests sim_node over real topics, around a simulator whose every answer is known, and together with robot_node."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import rclpy
from chunk_ppo_msgs.msg import ChunkOutcome, EpisodeEvent, ExecutionResult, TaskReward
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.nodes.robot.robot_node import RobotNode
from chunk_ppo_ros.nodes.robot.ros2_control import Ros2ControlBackend
from chunk_ppo_ros.nodes.sim import sim_node
from chunk_ppo_ros.nodes.sim.sim_commands import ARM_CONTROLLER, GRIPPER_CONTROLLER, CommandJoin
from chunk_ppo_ros.nodes.wire import qos, topics
from chunk_ppo_ros.nodes.wire.arrays import header_of, time_from_ns, time_to_ns
from chunk_ppo_ros.nodes.wire.sensors.image_messages import image_from_message
from chunk_ppo_ros.nodes.wire.sensors.joints import STATE_JOINTS, StepMessage, duration_of
from chunk_ppo_ros.robot import aloha, grippers
from chunk_ppo_ros.sim.interface import StepReward
from support.fresh_python import run_program
from support.robot_rig import trajectory
from support.spinner import Spinner

pytestmark = pytest.mark.graph

CONVENTION = grippers.GRIPPER_CONVENTIONS["openpi"]
PERIOD_NS = 20_000_000
LATER = 2 * 10**18
"""A time that is later than any of a test, ns."""
FIRST = 19 * 10**17
"""The stamp of the first chunk, ns. It is later than the start of sim_node."""
CAMERAS = ("cam_high", "cam_left_wrist")


class CountingSimulator:
    """Reaches every target. Each step earns 1, and step `end_after` of an episode ends it. Images hold their count."""

    control_rate = 50.0
    camera_names = CAMERAS
    prompt = "count"
    end_after = 1000

    def __init__(self) -> None:
        self.seeds: list[int] = []
        self.targets: list[np.ndarray] = []
        self.num_renders = 0
        self.closed = False

    def reset(self, *, seed: int, pose: np.ndarray | None = None) -> None:
        self.seeds.append(seed)
        self.num_renders_at_reset = self.num_renders
        self.num_steps = 0
        self._state = np.array(aloha.START_POSE if pose is None else pose)

    def step(self, target: np.ndarray) -> StepReward:
        self.num_steps += 1
        self.targets.append(target)
        self._state = target
        ended = self.num_steps == self.end_after
        return StepReward((RewardTerm("step", 1.0, weight=0.5),), terminated=ended, success=ended)

    def state(self) -> np.ndarray:
        return self._state.astype(np.float32)

    def efforts(self) -> np.ndarray:
        return np.arange(12, dtype=np.float32)

    def render(self) -> np.ndarray:
        self.num_renders += 1
        return np.stack(
            [np.full((4, 6, 3), 10 * self.num_renders + camera, np.uint8) for camera in range(len(CAMERAS))]
        )

    def close(self) -> None:
        self.closed = True


class Listener(Node):
    """Receives all that sim_node publishes, sends commands and results, and serves start_episode."""

    def __init__(self) -> None:
        super().__init__("listener")
        self.states: dict[str, list[JointState]] = {side: [] for side in aloha.SIDES}
        self.images: dict[str, list[Image]] = {camera: [] for camera in CAMERAS}
        self.clocks: list[Clock] = []
        self.rewards: list[TaskReward] = []
        self.answers = [True]
        self.num_calls = 0
        for side in aloha.SIDES:
            hear = self.states[side].append
            self.create_subscription(JointState, f"follower_{side}/joint_states", hear, qos.JOINT_STATES)
        for camera in CAMERAS:
            topic = f"{camera}/camera/color/image_rect_raw"
            self.create_subscription(Image, topic, self.images[camera].append, qos.IMAGE_RECORDING)
        self.create_subscription(Clock, "/clock", self.clocks.append, qos.SENSOR)
        self.create_subscription(TaskReward, "task_reward", self.rewards.append, qos.RELIABLE)
        self.backend = Ros2ControlBackend(self, RobotConfig())
        self.commands = {
            topic: self.create_publisher(JointTrajectory, topic, qos.COMMAND)
            for side in aloha.SIDES
            for topic in (topics.ARM_COMMANDS[side].name, topics.GRIPPER_COMMANDS[side].name)
        }
        self.results = self.create_publisher(ExecutionResult, "execution_result", qos.RELIABLE)
        self.outcomes = self.create_publisher(ChunkOutcome, "chunk_outcome", qos.RELIABLE)
        self.events = self.create_publisher(EpisodeEvent, "episode_event", qos.LATCHED)
        self.create_service(Trigger, "reward_node/start_episode", self._start)

    def _start(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.num_calls += 1
        response.success = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return response

    @property
    def connected(self) -> bool:
        heard = [f"follower_{side}/joint_states" for side in aloha.SIDES] + ["task_reward"]
        served = all(
            publisher.get_subscription_count() for publisher in (*self.commands.values(), self.results, self.events)
        )
        return served and all(self.count_publishers(topic) for topic in heard)


class Graph(Spinner):
    """The nodes sim_node and the listener in one process."""

    def __init__(self, simulator: CountingSimulator) -> None:
        self.simulator, self.listener, self.node = simulator, Listener(), sim_node.SimNode()
        super().__init__(self.listener, self.node)
        self._sent = self._num_results = 0

    def command(self, target: np.ndarray = aloha.START_POSE) -> None:
        """Sends one control step, and waits for it."""
        self._sent += 1
        before = self.simulator.num_steps
        self.listener.backend.send(target, stamp=self._sent)
        self.until(lambda: self.simulator.num_steps > before)

    def publish_result(self, num_steps: int, stamp: int, *, end: int = LATER) -> None:
        """Publishes the result of a chunk, whose last step ended at a time, ns."""
        self.listener.results.publish(
            ExecutionResult(
                header=header_of(stamp), run_id="run", sender="robot_7", num_steps=num_steps, end=time_from_ns(end)
            )
        )

    def result(self, num_steps: int, stamp: int | None = None, *, end: int = LATER) -> TaskReward:
        """Returns the task's reward for an execution result with this number of steps, by default of a new chunk."""
        self.listener.rewards.clear()
        self._num_results += 1
        self.publish_result(num_steps, FIRST + self._num_results if stamp is None else stamp, end=end)
        self.until(lambda: bool(self.listener.rewards))
        return self.listener.rewards[0]

    def reset(self, seed: int) -> None:
        self.listener.events.publish(EpisodeEvent(event=EpisodeEvent.RESET, seed=seed))
        self.until(lambda: self.simulator.seeds[-1] == seed)


@contextmanager
def running(monkeypatch: pytest.MonkeyPatch, **parameters: str) -> Iterator[Graph]:
    """Runs sim_node around a CountingSimulator, connected. Parameter names have two underscores for a dot."""
    simulator = CountingSimulator()
    monkeypatch.setattr(sim_node, "make_simulator", lambda config, name: simulator)
    overrides = [word for name, value in parameters.items() for word in ("-p", f"{name.replace('__', '.')}:={value}")]
    rclpy.init(args=["--ros-args", *overrides] if overrides else [])
    graph = Graph(simulator)
    try:
        graph.until(lambda: graph.listener.connected)
        yield graph
    finally:
        graph.close()
        rclpy.shutdown()
        assert simulator.closed


@pytest.fixture
def lockstep(monkeypatch: pytest.MonkeyPatch) -> Iterator[Graph]:
    with running(monkeypatch, run__seed="5") as graph:
        yield graph


@pytest.fixture
def real_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Graph]:
    with running(monkeypatch, env__realtime="true", env__camera_rate="10.0") as graph:
        yield graph


def stamp_of(message: JointState | Image) -> int:
    return time_to_ns(message.header.stamp)


def test_the_scene_of_the_start_is_drawn_from_the_seed(lockstep: Graph) -> None:
    assert lockstep.simulator.seeds == [5]


def test_joint_states_are_those_of_the_driver(lockstep: Graph) -> None:
    lockstep.until(lambda: all(lockstep.listener.states.values()))
    message = lockstep.listener.states["right"][-1]
    assert tuple(message.name) == STATE_JOINTS
    # The pose is the start pose with the gripper opened by 0.1. Its finger is at 0.01844 + 0.1 * 0.03956, and its motor
    # at arcsin((0.022^2 + 0.022396^2 - 0.036^2) / (2 * 0.022 * 0.022396)) = arcsin -0.315011 by the linkage.
    np.testing.assert_allclose(
        message.position, [0.0, -0.96, 1.16, 0.0, -0.3, 0.0, -0.320468, 0.022396, -0.022396], atol=1e-6
    )
    np.testing.assert_array_equal(message.effort, [6.0, 7.0, 8.0, 9.0, 10.0, 11.0, np.nan, np.nan, np.nan])
    assert aloha.side_effort(message.name, message.effort) == 8.5


def test_time_stands_still_until_all_four_controllers_have_a_command(lockstep: Graph) -> None:
    lockstep.until(lambda: bool(lockstep.listener.clocks))
    start = time_to_ns(lockstep.listener.clocks[-1].clock)
    message = JointTrajectory(header=header_of(1), joint_names=["left_finger"])
    message.points = [JointTrajectoryPoint(positions=[0.03], time_from_start=duration_of(0.02))]
    lockstep.listener.commands[topics.GRIPPER_COMMANDS["left"].name].publish(message)
    lockstep.spin(0.3)
    assert lockstep.simulator.num_steps == 0
    assert time_to_ns(lockstep.listener.clocks[-1].clock) == start
    for heard in lockstep.listener.states.values():
        heard.clear()
    lockstep.command()
    lockstep.until(lambda: all(lockstep.listener.states.values()))
    lockstep.spin(0.05)
    assert lockstep.simulator.num_steps == 1
    assert time_to_ns(lockstep.listener.clocks[-1].clock) == start + PERIOD_NS
    for heard in lockstep.listener.states.values():
        assert stamp_of(heard[0]) == start + PERIOD_NS


def test_a_command_arrives_as_it_was_sent(lockstep: Graph) -> None:
    target = np.linspace(-0.5, 0.5, 14)
    target[aloha.GRIPPER_INDICES] = [0.3, 0.9]
    lockstep.command(target)
    np.testing.assert_allclose(lockstep.simulator.targets[-1], target, atol=1e-9)


def test_commands_that_never_become_whole_are_dropped() -> None:
    join = CommandJoin(CONVENTION)
    positions = np.zeros((1, 6))
    messages = [
        StepMessage(aloha.ARM_JOINTS, period=0.02).fill(positions[0].tolist(), stamp=stamp) for stamp in range(20)
    ]
    for message in messages:
        assert join.add("left", ARM_CONTROLLER, message) is None
    fingers = [StepMessage(("left_finger",), period=0.02).fill([0.03], stamp=stamp) for stamp in (11, 12)]
    for stamp, finger in zip((11, 12), fingers, strict=True):
        join.add("left", GRIPPER_CONTROLLER, finger)
        join.add("right", ARM_CONTROLLER, messages[stamp])
        whole = join.add("right", GRIPPER_CONTROLLER, finger) is not None
        assert whole == (stamp == 12)  # of 0..19 the newest eight, 12..19, are kept


def test_a_bad_command_is_not_used(lockstep: Graph) -> None:
    lockstep.listener.commands[topics.ARM_COMMANDS["left"].name].publish(JointTrajectory(header=header_of(9)))
    lockstep.command()
    assert lockstep.simulator.num_steps == 1


def test_images_follow_each_result_with_the_present_time(lockstep: Graph) -> None:
    heard, states = lockstep.listener.images["cam_left_wrist"], lockstep.listener.states["left"]
    lockstep.until(lambda: bool(states))
    lockstep.command()
    lockstep.result(1)
    now = lockstep.simulator.num_steps * PERIOD_NS + stamp_of(states[0])
    lockstep.until(lambda: bool(heard) and stamp_of(heard[-1]) == now)
    # The second camera of render number n is filled with 10 n + 1.
    expected = 10 * lockstep.simulator.num_renders + 1
    np.testing.assert_array_equal(image_from_message(heard[-1]), np.full((4, 6, 3), expected))


def test_the_end_of_an_episode_is_shown_before_its_reset(lockstep: Graph) -> None:
    """The reset may come before the result of the last chunk, because two nodes send them."""
    heard, states = lockstep.listener.images["cam_high"], lockstep.listener.states["left"]
    lockstep.until(lambda: bool(states))
    end = stamp_of(states[0]) + PERIOD_NS
    lockstep.command()
    lockstep.reset(seed=9)
    lockstep.until(lambda: bool(heard) and stamp_of(heard[-1]) == end + PERIOD_NS)
    assert end in map(stamp_of, heard)


def test_the_end_of_an_episode_is_shown_between_two_images_of_slow_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(monkeypatch, env__realtime="true", env__camera_rate="0.1") as graph:
        heard = graph.listener.images["cam_high"]
        graph.until(lambda: graph.node.count_subscribers("cam_high/camera/color/image_rect_raw") > 0)
        graph.reset(seed=9)
        assert graph.simulator.num_renders_at_reset == 2  # The scene of the start was drawn once before.
        # The first camera of render number n is filled with 10 n.
        graph.until(lambda: bool(heard) and int(image_from_message(heard[-1])[0, 0, 0]) == 30)
        old, new = heard[-2:]
        assert int(image_from_message(old)[0, 0, 0]) == 20
        assert stamp_of(old) < stamp_of(new)


def test_a_scene_that_stands_still_is_repeated_without_rendering(lockstep: Graph) -> None:
    lockstep.spin(0.5)
    heard, renders = lockstep.listener.images["cam_high"], lockstep.simulator.num_renders
    heard.clear()
    lockstep.until(lambda: len(heard) >= 2)
    assert stamp_of(heard[0]) == stamp_of(heard[1])
    assert lockstep.simulator.num_renders == renders


def test_rewards_are_summed_over_the_chunk(lockstep: Graph) -> None:
    for _ in range(3):
        lockstep.command()
    reward = lockstep.result(3, stamp=FIRST + 123)
    assert time_to_ns(reward.header.stamp) == FIRST + 123
    assert (reward.source, reward.run_id, reward.sender) == ("task", "run", "robot_7")
    (term,) = reward.terms
    assert (term.name, term.value, term.weight) == ("step", 3.0, 0.5)
    assert (reward.terminated, reward.truncated, reward.success) == (False, False, False)


def test_a_refused_chunk_takes_nothing_from_what_a_human_drives(lockstep: Graph) -> None:
    lockstep.command()
    lockstep.listener.results.publish(ExecutionResult(header=header_of(5), status=ExecutionResult.REFUSED))
    lockstep.spin(0.2)
    assert lockstep.listener.rewards == []  # no source needs to answer what executed nothing
    lockstep.command()
    assert lockstep.result(2).terms[0].value == 2.0


def test_steps_after_an_end_state_earn_nothing(lockstep: Graph) -> None:
    lockstep.simulator.end_after = 2
    for _ in range(4):
        lockstep.command()
    reward = lockstep.result(4)
    assert reward.terms[0].value == 2.0
    assert (reward.terminated, reward.truncated, reward.success) == (True, False, True)


def test_a_reset_starts_from_its_seed_and_asks_until_the_episode_starts(lockstep: Graph) -> None:
    lockstep.listener.answers = [False, True]
    lockstep.command()
    lockstep.spin(0.1)
    before = stamp_of(lockstep.listener.states["left"][-1])
    lockstep.reset(seed=42)
    lockstep.until(lambda: lockstep.listener.num_calls == 2)
    lockstep.spin(0.6)
    assert lockstep.listener.num_calls == 2
    assert stamp_of(lockstep.listener.images["cam_high"][-1]) == before + PERIOD_NS


def test_an_episode_that_starts_or_ends_otherwise_is_not_asked_for_any_more(lockstep: Graph) -> None:
    listener = lockstep.listener
    listener.answers = [False]
    for event in (EpisodeEvent.STARTED, EpisodeEvent.ENDED):
        lockstep.reset(seed=42 + event)
        calls = listener.num_calls
        lockstep.until(lambda calls=calls: listener.num_calls > calls + 1)
        listener.events.publish(EpisodeEvent(event=event))
        lockstep.spin(0.1)
        calls = listener.num_calls
        lockstep.spin(0.4)
        assert listener.num_calls == calls


def test_a_reset_forgets_rewards_and_half_commands(lockstep: Graph) -> None:
    for _ in range(2):
        lockstep.command()
    before = lockstep.simulator.num_renders
    lockstep.reset(seed=7)
    lockstep.until(lambda: lockstep.simulator.num_renders > before)
    gripper = StepMessage((aloha.LEFT_FINGER,), period=0.02)
    arm = StepMessage(aloha.ARM_JOINTS, period=0.02)
    commands = lockstep.listener.commands
    for side in aloha.SIDES:
        commands[topics.ARM_COMMANDS[side].name].publish(arm.fill([0.0] * 6, stamp=99))
    commands[topics.GRIPPER_COMMANDS["left"].name].publish(gripper.fill([0.03], stamp=99))
    lockstep.spin(0.1)
    lockstep.reset(seed=8)
    commands[topics.GRIPPER_COMMANDS["right"].name].publish(gripper.fill([0.03], stamp=99))
    lockstep.spin(0.1)
    assert lockstep.simulator.num_steps == 0
    lockstep.command()
    assert lockstep.result(1).terms[0].value == 1.0


def test_lockstep_begins_at_the_time_of_the_wall_clock(lockstep: Graph) -> None:
    lockstep.until(lambda: bool(lockstep.listener.clocks))
    assert abs(time_to_ns(lockstep.listener.clocks[-1].clock) - time.time_ns()) < 60 * 1_000_000_000


def test_real_time_gives_up_the_steps_that_it_cannot_make_up_for(
    real_time: Graph, capfd: pytest.CaptureFixture[str]
) -> None:
    real_time.spin(0.1)
    steps, renders = real_time.simulator.num_steps, real_time.simulator.num_renders
    time.sleep(0.6)  # 30 steps are missed.
    real_time.spin(0.06)
    assert sim_node.MAX_CATCH_UP_STEPS <= real_time.simulator.num_steps - steps < 25
    assert real_time.simulator.num_renders > renders
    assert re.search(r"gives up 0\.[345]\d s that it is behind the wall clock", capfd.readouterr().err)


def test_real_time_holds_the_last_target_at_the_control_rate(real_time: Graph) -> None:
    target = np.array(aloha.START_POSE)
    target[0] = 0.25
    real_time.command(target)
    steps, start = real_time.simulator.num_steps, time.monotonic()
    real_time.spin(1.0)
    expected = 50.0 * (time.monotonic() - start)
    assert real_time.simulator.num_steps - steps == pytest.approx(expected, abs=10)
    np.testing.assert_allclose(real_time.simulator.targets[-1], target, atol=1e-9)
    assert real_time.listener.clocks == []
    stamps = [stamp_of(image) for image in real_time.listener.images["cam_high"]]
    assert stamps == sorted(set(stamps))
    assert 5 <= len(stamps) <= 40


def test_steps_of_the_next_chunk_are_not_credited_to_one_whose_result_comes_late(lockstep: Graph) -> None:
    """robot_node stores a result before it sends it, and a human's segments follow each other without a pause."""
    for _ in range(3):
        lockstep.command()
    lockstep.until(lambda: len(lockstep.listener.clocks) > 0)
    lockstep.spin(0.1)
    end = time_to_ns(lockstep.listener.clocks[-1].clock)
    for _ in range(2):
        lockstep.command()
    assert lockstep.result(3, end=end).terms[0].value == 3.0
    assert lockstep.result(2).terms[0].value == 2.0


def test_a_result_that_is_repeated_gets_the_same_report_again(lockstep: Graph) -> None:
    for _ in range(3):
        lockstep.command()
    first = lockstep.result(3, stamp=FIRST)
    for _ in range(2):
        lockstep.command()
    assert lockstep.result(3, stamp=FIRST) == first
    assert lockstep.result(2, stamp=FIRST + 1).terms[0].value == 2.0


def test_a_chunk_that_began_before_the_start_gets_no_report(lockstep: Graph, capfd: pytest.CaptureFixture[str]) -> None:
    """robot_node may have gone on with such a chunk in the scene of this process, which is another one."""
    before = time.time_ns() - 3600 * 10**9
    lockstep.command()
    lockstep.publish_result(3, stamp=before)
    lockstep.spin(0.5)
    assert not lockstep.listener.rewards
    text = f"the chunk of stamp {before} gets no task_reward: it began before this sim_node was started"
    assert text in capfd.readouterr().err


def test_a_sim_node_that_is_started_anew_repeats_its_report_and_its_time_never_goes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    newest = time.time_ns() + 3600 * 10**9  # Simulated time has passed faster than that of the wall clock.
    with running(monkeypatch) as before:
        before.command()
        assert before.result(1, stamp=newest).terms[0].value == 1.0
    with running(monkeypatch) as after:
        after.until(lambda: bool(after.listener.rewards) and bool(after.listener.clocks))
        assert time_to_ns(after.listener.rewards[0].header.stamp) == newest
        assert time_to_ns(after.listener.clocks[0].clock) > newest
        after.listener.rewards.clear()
        after.listener.outcomes.publish(ChunkOutcome(header=header_of(newest), run_id="run", sender="robot_7"))
        after.spin(2.5)
        after.listener.rewards.clear()
        after.spin(2.5)
        assert not after.listener.rewards


def test_real_time_rewards_begin_with_the_first_command(real_time: Graph) -> None:
    real_time.spin(0.3)
    real_time.command()
    real_time.spin(0.1)
    earned = real_time.result(1).terms[0].value
    assert 1.0 <= earned < real_time.simulator.num_steps


def test_robot_node_and_the_kinematic_simulator_play_chunks_in_lockstep() -> None:
    rclpy.init(
        args=[
            "--ros-args",
            "-p",
            "env.simulator:=kinematic",
            "-p",
            "model.image_size:=64",
            "-p",
            "model.patch_size:=16",
        ]
    )
    simulation, robot, driver = sim_node.SimNode(), RobotNode(), Node("driver")
    graph = Spinner(simulation, robot, driver)
    states: dict[str, JointState] = {}
    results: list[ExecutionResult] = []
    rewards: list[TaskReward] = []
    for side in aloha.SIDES:
        hear = functools.partial(states.__setitem__, side)
        driver.create_subscription(JointState, f"follower_{side}/joint_states", hear, qos.JOINT_STATES)
    driver.create_subscription(ExecutionResult, "execution_result", results.append, qos.RELIABLE)
    driver.create_subscription(TaskReward, "task_reward", rewards.append, qos.RELIABLE)
    publishers = {
        side: driver.create_publisher(JointTrajectory, f"robot/{side}/joint_trajectory", qos.COMMAND)
        for side in aloha.SIDES
    }

    try:
        graph.until(lambda: len(robot.arms_seen) == 2 and len(states) == 2)
        graph.until(lambda: all(publisher.get_subscription_count() for publisher in publishers.values()))
        start = stamp_of(states["left"])
        stamp = robot.get_clock().now().nanoseconds
        for side, publisher in publishers.items():
            state = aloha.side_state(states[side].name, states[side].position, CONVENTION)
            targets = np.tile(state, (16, 1))
            targets[:, 0] += np.linspace(0.01, 0.16, 16)
            publisher.publish(trajectory(targets, stamp=stamp))
        graph.until(lambda: results and rewards)
        assert (results[0].status, results[0].num_steps) == (ExecutionResult.EXECUTED, 16), results[0].message
        assert time_to_ns(results[0].end) >= start + 16 * PERIOD_NS
        assert {term.name for term in rewards[0].terms} == {"progress", "success"}
    finally:
        graph.close()
        rclpy.shutdown()


def test_a_machine_without_rendering_gets_the_reason_and_an_exit_code() -> None:
    code = (
        "import sys; from chunk_ppo_ros.core.errors import SimulatorUnavailable\n"
        "from chunk_ppo_ros.nodes.sim import sim_node\n"
        "def refuse(config, name): raise SimulatorUnavailable('no OpenGL here; install libegl1')\n"
        "sim_node.make_simulator = refuse; assert 'jax' not in sys.modules; sys.exit(sim_node.main([]))"
    )
    done = run_program(code)
    assert done.returncode == 2
    assert "no OpenGL here; install libegl1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_factor_on_a_term_that_the_task_does_not_have_ends_the_node() -> None:
    command = [sys.executable, "-m", "chunk_ppo_ros.nodes.sim.sim_node", "--ros-args"]
    command += ["-p", "env.simulator:=kinematic", "-p", "reward.term_weights:=['foo=2.0']"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120.0, check=False)
    assert done.returncode == 2
    assert "reward.term_weights must name terms that each chunk has, got 'foo' where there are progress" in done.stderr
    assert "Traceback" not in done.stderr
