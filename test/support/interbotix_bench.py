"""Runs the back end `interbotix` in a node, beside fake drivers that a test starts and stops.

The interface package must be on sys.path, by the fixture `interbotix_messages`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import numpy as np
import rclpy
from std_srvs.srv import Trigger

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.nodes.common.operator_calls import OperatorCalls
from chunk_ppo_ros.nodes.common.peers.message_origin import WithOrigin
from chunk_ppo_ros.nodes.robot.between_episodes.prepare_service import serve_preparation
from chunk_ppo_ros.nodes.robot.robot_backends import make_backend, note_states_of
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.robot import aloha
from support.spinner import Spinner

if TYPE_CHECKING:
    from support.fake_driver import FakeDriver

TARGET = np.array(aloha.START_POSE)
CONFIG = RobotConfig(backend="interbotix")


class Bench(Spinner):
    """A node with the back end, and drivers that are started and stopped."""

    def __init__(self, config: RobotConfig) -> None:
        self.node = rclpy.create_node("bench")
        super().__init__(self.node)
        self.backend = make_backend(self.node, config)
        note_states = note_states_of(self.backend)
        for side, topic in topics.FOLLOWER_STATES.items():
            note = functools.partial(lambda side, message, origin: note_states(side, origin.publisher), side)
            topic.create_subscription(self.node, WithOrigin(note))
        serve_preparation(OperatorCalls(self.node, run_id=str), self.backend)
        self._running: dict[str, ExitStack] = {}

    def start(self, side: str, **options: object) -> FakeDriver:
        from support.fake_driver import running_driver

        self._running[side] = ExitStack()
        return self._running[side].enter_context(running_driver(side, **options))

    def stop(self, side: str) -> None:
        self._running.pop(side).close()

    def send(self, target: np.ndarray = TARGET) -> None:
        self.backend.send(target, stamp=0)

    def until_prepared(self) -> None:
        self.until(lambda: not self.backend.problem())

    def until_problem(self, text: str) -> str:
        self.until(lambda: text in self.backend.problem())
        return self.backend.problem()

    def seen(self) -> str:
        return f"the problem is: {self.backend.problem()}"

    def close(self) -> None:
        for side in list(self._running):
            self.stop(side)
        super().close()

    def prepare(self) -> Trigger.Response:
        """Asks the back end to prepare the arms again, and waits for the answer."""
        future = self.node.create_client(Trigger, "bench/prepare_robot").call_async(Trigger.Request())
        self.until(future.done)
        return future.result()


@contextmanager
def running_bench(config: RobotConfig = CONFIG) -> Iterator[Bench]:
    """Runs ROS with a bench."""
    rclpy.init()
    bench = Bench(config)
    try:
        yield bench
    finally:
        bench.close()
        rclpy.shutdown()


def gripper_commands(driver: FakeDriver) -> list[float]:
    """Returns the numbers that a driver was told for its gripper."""
    return [numbers[0] for kind, numbers in driver.motors.commands if kind == "gripper"]
