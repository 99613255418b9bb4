"""Runs robot_node beside fake drivers of four arms, and plays policy_node, reward_node and the person at the leaders.

The interface package must be on sys.path, by the fixture `interbotix_messages`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import rclpy
from chunk_ppo_msgs.msg import EpisodeEvent, ExecutionResult, OperatorCall, TakeoverState
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

from chunk_ppo_ros.nodes.robot.robot_node import RobotNode
from chunk_ppo_ros.nodes.wire import qos, services
from chunk_ppo_ros.nodes.wire.arrays import header_of
from chunk_ppo_ros.nodes.wire.services import Service
from chunk_ppo_ros.robot import aloha
from support.heard_results import hear_results
from support.patience import PATIENCE
from support.robot_rig import PERIOD, trajectory
from support.spinner import Spinner

LEADER_VELOCITY = 1.0  # rad/s
MAX_VELOCITY = 1.5  # rad/s
FOLLOWER_STEP = MAX_VELOCITY * PERIOD + 1e-6  # rad; commands are rounded to float32
LEADER_STEP = LEADER_VELOCITY * PERIOD + 1e-6
PARAMETERS = {
    "env.simulator": "none",
    "robot.backend": "interbotix",
    "robot.align_leaders": True,
    "robot.leader_velocity": LEADER_VELOCITY,
    "robot.max_velocity": MAX_VELOCITY,
    "robot.max_acceleration": 10.0,
    "robot.max_start_jump": 0.2,
    "robot.state_timeout": 2.0,  # A busy machine is slow, and nothing here is timed.
    "robot.max_following_error": 0.3,
    "model.action_horizon": 100,
}
HOME = np.array(aloha.START_POSE)
ARM = slice(0, len(aloha.ARM_JOINTS))
AWAY = np.array([0.2, 0.15, -0.1, 0.1, 0.2, -0.3])
"""How far the leaders are from the followers at the start, rad."""


class Surroundings(Node):
    """Sends chunks and episode events, serves `reset_done`, and listens to robot_node."""

    def __init__(self) -> None:
        super().__init__("reward_node", use_global_arguments=False)
        self.results: list[ExecutionResult] = []
        self.states: list[TakeoverState] = []
        self.calls: list[OperatorCall] = []
        self.robot_says = ""
        self.num_done = 0
        self._chunks = {
            side: self.create_publisher(JointTrajectory, f"robot/{side}/joint_trajectory", qos.COMMAND)
            for side in aloha.SIDES
        }
        self._events = self.create_publisher(EpisodeEvent, "episode_event", qos.LATCHED)
        hear_results(self, self.results)
        self.create_subscription(TakeoverState, "takeover_state", self.states.append, qos.LATCHED_SUBSCRIPTION)
        self.create_subscription(OperatorCall, "operator_call", self.calls.append, qos.RELIABLE)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.RELIABLE)
        self.create_service(Trigger, services.RESET_DONE.path, self._on_done)

    def tell(self, event: int) -> None:
        stamp = self.get_clock().now().nanoseconds
        self._events.publish(EpisodeEvent(header=header_of(stamp), run_id="run", event=event))

    def send(self, targets: np.ndarray) -> None:
        stamp = self.get_clock().now().nanoseconds
        for side, publisher in self._chunks.items():
            publisher.publish(trajectory(targets[:, aloha.side_slice(side)], stamp=stamp))

    def _on_done(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.num_done += 1
        self.tell(EpisodeEvent.READY)
        response.success, response.message = True, "the reset is done"
        return response

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == "robot_node: chunk player":
                self.robot_says = status.message


class LeaderGraph(Spinner):
    """robot_node and its surroundings in this thread, and each driver in one of its own."""

    def __init__(self, stack: ExitStack) -> None:
        from support.fake_driver import running_driver
        from support.fake_leader import running_leader

        self.peer, self.robot = Surroundings(), RobotNode()
        super().__init__(self.peer, self.robot)
        pose = HOME[ARM] + AWAY
        self.followers = {side: stack.enter_context(running_driver(side)) for side in aloha.SIDES}
        self._running = {side: stack.enter_context(ExitStack()) for side in aloha.SIDES}
        self.leaders = {side: each.enter_context(running_leader(side, pose)) for side, each in self._running.items()}
        self.peer.tell(EpisodeEvent.STARTED)

    @property
    def state(self) -> TakeoverState:
        """The newest TakeoverState."""
        return self.peer.states[-1]

    def call(self, service: Service, **request: Any) -> Any:
        """Calls a service, and returns its answer."""
        client = service.create_client(self.peer)
        self.until(client.service_is_ready)
        future = client.call_async(service.service_type.Request(**request))
        self.until(future.done)
        return future.result()

    def takeover(self, human: bool) -> SetBool.Response:
        return self.call(services.TAKEOVER, data=human)

    def until_leaders(self, leaders: int) -> None:
        """Waits until TakeoverState tells this of the leaders, and that nothing is under way."""
        self.until(lambda: self.state.leaders == leaders and "being switched" not in self.state.message)

    def chunk(self, targets: np.ndarray) -> ExecutionResult:
        """Sends a chunk and waits for its result."""
        self.peer.results.clear()
        self.peer.send(targets)
        self.until(lambda: bool(self.peer.results))
        return self.peer.results.pop()

    def until_prepared(self) -> None:
        """Sends chunks in which nothing moves until one is executed."""
        still = np.tile(HOME, (2, 1))
        self.until(lambda: self.chunk(still).status == ExecutionResult.EXECUTED)

    def grip(self) -> None:
        """Closes the grippers of both leaders until they are limp. A busy machine may need it again."""
        self._repeat(((0.8, 0.3), (0.0, 0.8)), lambda: self.state.leaders == TakeoverState.LIMP)
        self.until_leaders(TakeoverState.LIMP)

    def squeeze_twice(self) -> None:
        """Closes the grippers of both leaders twice in short order until robot_node has called `reset_done`."""
        done = self.peer.num_done + 1
        self._repeat(((0.8, 0.3), (0.0, 0.3), (0.8, 0.3), (0.0, 0.3)), lambda: self.peer.num_done == done)

    def _repeat(self, gesture: Sequence[tuple[float, float]], has_worked: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not has_worked():
            assert time.monotonic() < deadline, self.seen()
            for opening, seconds in gesture:
                self.squeeze(opening, seconds)

    def squeeze(self, opening: float, seconds: float) -> None:
        """Moves both grippers of the leaders, and waits."""
        for leader in self.leaders.values():
            leader.squeeze(opening)
        self.spin(seconds)

    def lead(self, change: float, *, steps: int = 20) -> None:
        """Turns the waists of both limp leaders by hand, in steps of 0.02 s."""
        for _ in range(steps):
            for leader in self.leaders.values():
                pose = leader.pose
                pose[0] += change / steps
                leader.put(pose)
            self.spin(PERIOD)

    def stop_leader(self, side: str) -> None:
        """Ends the driver of a leader."""
        self._running[side].close()

    def follower_commands(self, side: str) -> np.ndarray:
        """Returns what a follower's arm was commanded, float [n, 6]."""
        motors = self.followers[side].motors
        return np.array([angles for kind, angles in motors.commands if kind == "arm"])

    def largest_follower_step(self) -> float:
        """Returns the largest change of a joint from one command to the next, the start pose included."""
        paths = [np.vstack([HOME[ARM], self.follower_commands(side)]) for side in aloha.SIDES]
        return max(float(np.max(np.abs(np.diff(path, axis=0)))) for path in paths)

    def largest_leader_step(self) -> float:
        """Returns how far a command of a leader was from the one before, or from the pose of a limp arm, at most."""
        return max(max(leader.jumps, default=0.0) for leader in self.leaders.values())

    def largest_leap(self) -> float:
        """Returns how far a leader's motor was from its goal when it got torque, at most."""
        return max(max(leader.motors.leaps, default=0.0) for leader in self.leaders.values())

    def seen(self) -> str:
        last = f"{self.state.leaders}: {self.state.message}" if self.peer.states else "none"
        return f"the leaders: {last}; the robot says: {self.peer.robot_says}"


@contextmanager
def running_leader_graph(folder: str, **parameters: object) -> Iterator[LeaderGraph]:
    """Runs robot_node beside four drivers. Parameter names have two underscores for a dot."""
    chosen: Mapping[str, object] = {name.replace("__", "."): value for name, value in parameters.items()}
    values = {**PARAMETERS, "run.run_dir": folder, **chosen}
    words = [word for name, value in values.items() for word in ("-p", f"{name}:={str(value).lower()}")]
    rclpy.init(args=["--ros-args", *words])
    with ExitStack() as stack:
        stack.callback(rclpy.shutdown)
        graph = LeaderGraph(stack)
        stack.callback(graph.close)
        yield graph
