"""sim_node runs a simulated ALOHA with the topics of the real robot, and its task as a reward source.

It takes the commands of the back end that `robot.backend` names. In lockstep time stands still until the commands of
both arms for the next control step have arrived. The node then publishes /clock. In real time the physics follows the
wall clock and holds the last target, and the cameras have their own rate. All work, including rendering, runs in the
thread that spins the node.

With `env.mirror` the node runs beside drivers of a real robot, or of another simulation. It takes no commands then: its
arms follow the joint states of these drivers, it renders the cameras and judges the task, and an operator starts the
episodes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import NoReturn

import numpy as np
from chunk_ppo_msgs.msg import EpisodeEvent, ExecutionResult
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import Image

from chunk_ppo_ros.agent.env import check_rewards
from chunk_ppo_ros.config import TASK_SOURCE, RewardConfig, TrainConfig
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.runner import run_node
from chunk_ppo_ros.nodes.common.status.diagnostics import PeriodicDiagnostics, Value
from chunk_ppo_ros.nodes.common.subscriptions import subscribe
from chunk_ppo_ros.nodes.sim.command_sources import make_command_source
from chunk_ppo_ros.nodes.sim.episode_starter import EpisodeStarter
from chunk_ppo_ros.nodes.sim.reward_reports import RewardReports
from chunk_ppo_ros.nodes.wire import parameters, topics
from chunk_ppo_ros.nodes.wire.arrays import time_from_ns, time_to_ns
from chunk_ppo_ros.nodes.wire.sensors.image_messages import image_to_message
from chunk_ppo_ros.nodes.wire.sensors.joints import StateMessage
from chunk_ppo_ros.robot import aloha, grippers
from chunk_ppo_ros.sim.simulator import make_simulator

HEARTBEAT_PERIOD = 0.2  # s, steady clock: the period at which a scene that stands still in lockstep is published again
MAX_CATCH_UP_STEPS = 10
"""The number of missed control steps that are made up for at once in real time. Others are given up and reported."""


class SimNode(Node):
    """Connects a simulator to the topics of the robot's drivers."""

    failure: UserError | None = None
    """An error of the task's code, with which the process ends."""
    _made = False  # ROS also destroys a node whose constructor failed.

    def __init__(self) -> None:
        super().__init__("sim_node")
        config = parameters.declare(self, "env", "model", "robot", "reward", "run")
        self.simulator = make_simulator(config, name=config.env.scene_simulator)
        if config.reward.sources == (TASK_SOURCE,) and config.reward != RewardConfig():
            check_rewards(self.simulator, config)  # reward_node has no terms to look at before the first chunk.
        self._task, self._num_resets = config.env.task, 0
        self._lockstep = config.env.is_lockstep
        self._period = 1.0 / self.simulator.control_rate
        convention = grippers.convention_of(config.robot)
        conditions = Conditions(self)
        self._started_at, self._wall_start = 0, time.monotonic()
        PeriodicDiagnostics(
            self, level=lambda: conditions.level, tell=lambda: self._tell(conditions), now=lambda: self._stamp
        )
        self._reports = RewardReports(self, config.run.folder / "store" / "sim", conditions)
        self._rewards = self._reports.rewards
        self._state_messages = {side: StateMessage(convention) for side in aloha.SIDES}
        self._is_mirror = config.env.is_mirrored
        # Lockstep time starts at the wall clock's time, so that no stamp is used twice when the node is started again.
        # It may have passed faster than the wall clock, and it never goes back.
        starts = max(time.time_ns(), self._reports.later_than_all)
        self._stamp = starts if self._lockstep else self.get_clock().now().nanoseconds
        self._reports.started = self._started_at = self._stamp
        self._images: list[Image] = []
        self._images_stamp = -1
        self._moved = True
        self._create_topics(config, conditions)
        self._create_timers(config)
        self._reset(config.run.seed)
        self._made = True
        pace = "in lockstep" if self._lockstep else "in real time"
        source = ", as a mirror of the arms' joint states" if self._is_mirror else ""
        self.get_logger().info(f"simulates {config.env.task} with {config.env.scene_simulator} {pace}{source}")

    def destroy_node(self) -> None:
        """Closes the simulator with the node."""
        if self._made:
            self._made = False
            self._reports.close()
            self.simulator.close()
        super().destroy_node()

    def _create_topics(self, config: TrainConfig, conditions: Conditions) -> None:
        drivers = {} if self._is_mirror else topics.FOLLOWER_STATES
        self._state_publishers = {side: topic.create_publisher(self) for side, topic in drivers.items()}
        self._image_publishers = {
            camera: topics.simulated_images(camera, config.robot).create_publisher(self)
            for camera in self.simulator.camera_names
        }
        self._clock_publisher = topics.CLOCK.create_publisher(self) if self._lockstep else None
        self._commands = source = make_command_source(self, config, self._on_target)
        starter = None if self._is_mirror else EpisodeStarter(self, is_robot_ready=lambda: source.is_ready)
        self._starter = starter
        only_from_one = self._reports.guard.only_from_one
        subscribe(self, conditions, topics.EXECUTION_RESULT, self._on_result, note_sender=only_from_one)
        subscribe(self, conditions, topics.EPISODE_EVENT, self._on_event, note_sender=only_from_one)

    def _create_timers(self, config: TrainConfig) -> None:
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        if self._lockstep:
            self.create_timer(HEARTBEAT_PERIOD, self._beat, clock=steady)
            return
        self._next_step = time.monotonic()
        self.create_timer(self._period, self._follow_wall_clock, clock=steady)
        self.create_timer(1.0 / config.env.camera_rate, self._publish_images, clock=steady)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """Keeps an error of the task's code, which may be the user's, for the end of the process."""
        try:
            yield
        except UserError as error:
            self.failure = self.failure or error

    def _on_event(self, message: EpisodeEvent) -> None:
        if message.event == EpisodeEvent.RESET:
            self._reports.note_reset(time_to_ns(message.header.stamp), run_id=message.run_id)
            with self._failing():
                self._show_end()
                self._reset(message.seed)
        if self._starter is None:
            if message.event == EpisodeEvent.STARTED:
                self._reports.note_start(time_to_ns(message.header.stamp))
        elif message.event == EpisodeEvent.RESET:
            self._starter.request()
        elif message.event in (EpisodeEvent.STARTED, EpisodeEvent.ENDED):
            self._starter.cancel()

    def _show_end(self) -> None:
        """Publishes what the cameras see before a reset, unless they have sent it.

        Otherwise a recording might have no image from between the last chunk and the reset. The first image of the new
        scene would then be taken for the end of the old episode.
        """
        if not self._lockstep:
            self._stamp = self.get_clock().now().nanoseconds
        if self._stamp != self._images_stamp:
            self._publish_images()

    def _reset(self, seed: int) -> None:
        """Makes a new scene. One control period passes, so that its readings have new stamps.

        The arms of a mirror stay where their drivers have them.
        """
        self._num_resets += 1
        self.simulator.reset(seed=seed, pose=self._commands.pose)
        self._target = self.simulator.state().astype(float)
        self._commands.reset(self._target)
        self._rewards.reset()
        self._pass_time()
        self._publish_states()
        self._publish_images()

    def _on_target(self, target: np.ndarray) -> None:
        self._target = target
        self._rewards.begin()
        if self._lockstep:
            with self._failing():
                self._step()
            self._publish_states()

    def _step(self) -> None:
        """Simulates one control period toward the target."""
        step = self.simulator.step(self._target)
        self._pass_time()
        self._rewards.add(step, end=self._stamp)

    def _pass_time(self) -> None:
        self._moved = True
        if self._lockstep:
            self._stamp += round(self._period * NANOSECONDS)
        else:
            self._stamp = self.get_clock().now().nanoseconds

    def _follow_wall_clock(self) -> None:
        """Makes the steps that are due."""
        num_due = int((time.monotonic() - self._next_step) / self._period) + 1
        if num_due > MAX_CATCH_UP_STEPS:
            lost = (num_due - MAX_CATCH_UP_STEPS) * self._period
            self._next_step += lost
            self.get_logger().warning(
                f"the simulation gives up {lost:.2f} s that it is behind the wall clock; lower env.camera_rate or set "
                "env.realtime to false",
                throttle_duration_sec=10.0,
            )
        for _ in range(min(num_due, MAX_CATCH_UP_STEPS)):
            self._next_step += self._period
            with self._failing():
                self._step()
        if num_due > 0:
            self._publish_states()

    def _beat(self) -> None:
        """Publishes a scene that stands still again, for nodes that started later and in place of lost messages."""
        if self._moved:
            self._moved = False
            return
        self._publish_states()
        self._publish_images()

    def _publish_states(self) -> None:
        if self._clock_publisher is not None:
            self._clock_publisher.publish(ClockMessage(clock=time_from_ns(self._stamp)))
        if not self._state_publishers:
            return
        state, efforts = self.simulator.state(), self.simulator.efforts()
        halves = (None, None) if efforts is None else np.split(efforts, len(aloha.SIDES))
        for (side, publisher), half in zip(self._state_publishers.items(), halves, strict=True):
            message = self._state_messages[side].fill(state[aloha.side_slice(side)], stamp=self._stamp, efforts=half)
            publisher.publish(message)

    def _publish_images(self) -> None:
        """Renders new images if time has passed since the last ones, and publishes the images."""
        if self._stamp != self._images_stamp:
            self._images_stamp = self._stamp
            self._images = [
                image_to_message(image, stamp=self._stamp, frame_id=camera)
                for camera, image in zip(self.simulator.camera_names, self.simulator.render(), strict=True)
            ]
        for image in self._images:
            self._image_publishers[image.header.frame_id].publish(image)

    def _tell(self, conditions: Conditions) -> tuple[str, dict[str, Value]]:
        """Returns what the diagnostics tell: how much time has passed in the simulator, and how fast."""
        simulated = (self._stamp - self._started_at) / NANOSECONDS
        values: dict[str, Value] = {
            "waits for": self._awaited(),
            "simulated_time": simulated,
            "real_time_factor": simulated / max(time.monotonic() - self._wall_start, 1e-9),
            "num_resets": self._num_resets,
        }
        return "; ".join([f"simulates {self._task}", *conditions.texts]), values

    def _awaited(self) -> str:
        """Returns what the simulation waits for, or an empty string."""
        if self._starter is not None and (start := self._starter.waits_for):
            return start
        if self._is_mirror:
            return "" if self._commands.pose is not None else "the joint states of both arms"
        return "the next commands of the arms" if self._lockstep and not self._moved else ""

    def _on_result(self, message: ExecutionResult) -> None:
        # Without a step nothing was executed, and a human may be driving a segment.
        is_new = not message.num_steps or self._reports.answer(message)
        if self._lockstep and is_new:
            self._publish_images()


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Runs the node until it is stopped, and ends the process."""
    run_node(SimNode, args)


if __name__ == "__main__":
    main()
