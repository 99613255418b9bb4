"""view_node draws what the graph does, for people who look by Foxglove, rqt or rviz.

It publishes a camera of the policy with the facts of the episode below the image, and the paths of the grippers that a
chunk asked for beside those that were executed. It subscribes to what it draws only while somebody looks, and it only
watches: no other node waits for it, and its process gives way to all others.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from chunk_ppo_msgs import msg
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from trajectory_msgs.msg import JointTrajectory

from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.newest_chunk import read_chunk
from chunk_ppo_ros.nodes.common.runner import run_node
from chunk_ppo_ros.nodes.common.sensors import sensor_conditions
from chunk_ppo_ros.nodes.common.status.diagnostics import PeriodicDiagnostics, Value, own_name
from chunk_ppo_ros.nodes.common.status.ros_time import RosTime
from chunk_ppo_ros.nodes.view.annotation import ViewFacts, annotate, to_jpeg
from chunk_ppo_ros.nodes.view.chunk_markers import ended_markers, marker_array_type, running_markers
from chunk_ppo_ros.nodes.view.chunk_paths import AskedPaths, executed_path, table_points
from chunk_ppo_ros.nodes.view.demand import Demand, Source
from chunk_ppo_ros.nodes.wire import conversions, parameters, qos, topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.nodes.wire.sensors.image_messages import image_from_message
from chunk_ppo_ros.nodes.wire.sensors.joints import arm_trajectory_from_message
from chunk_ppo_ros.robot import aloha

LOOK_PERIOD = 0.5
"""The time between two looks whether somebody looks, s of steady time."""
DRAW_PERIOD = 0.1
"""The shortest time between two drawn images, s of steady time."""
LARGEST_SHARE = 0.2
"""The share of the time in which images are drawn. Where drawing is slow, fewer images are drawn."""
NICENESS = 10
_PHASES = {getattr(msg.EpisodeState, name): name for name in ("IDLE", "RESETTING", "READY", "RUNNING", "CLOSING")}


class ViewNode(Node):
    """Draws while somebody looks."""

    def __init__(self) -> None:
        super().__init__("view_node")
        self._config = config = parameters.declare(self, "model", "env", "robot", "run")
        self._camera = aloha.ROBOT_CAMERAS[config.model.cameras[0]]
        self._facts = ViewFacts()
        self._drawn_at, self._num_drawn, self._draw_time = 0.0, 0, 0.0
        self._conditions = Conditions(self)
        self._images = topics.ANNOTATED_VIEW.create_publisher(self)
        self._demands = [Demand(self, self._images, self._image_sources)]
        self._asked = AskedPaths()
        self._publish_markers: Callable[[list[Any]], None] = _drop
        kind = marker_array_type()
        if kind is None:
            self.get_logger().info(
                f"visualization_msgs is not installed, so that {topics.CHUNK_MARKERS_NAME} is not published; install "
                "ros-<distro>-visualization-msgs, or run `make setup` where ROS comes from wheels"
            )
        else:
            markers = topics.Topic(topics.CHUNK_MARKERS_NAME, kind, qos.RELIABLE).create_publisher(self)
            self._publish_markers = lambda found: markers.publish(kind(markers=found))
            self._demands.append(Demand(self, markers, self._marker_sources))
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(LOOK_PERIOD, self._look, clock=steady)
        ros_time = RosTime(self, config)
        PeriodicDiagnostics(self, level=lambda: self._conditions.level, tell=self._tell, now=ros_time.now)
        self.get_logger().info(f"draws {self._camera} and the paths of chunks while somebody looks")

    def _look(self) -> None:
        for demand in self._demands:
            demand.look()

    def _tell(self) -> tuple[str, dict[str, Value]]:
        """Returns what the diagnostics tell."""
        is_looked_at = any(demand.is_met for demand in self._demands)
        values: dict[str, Value] = {
            "waits for": "" if is_looked_at else "somebody who looks",
            "num_images": self._num_drawn,
            "draw_time": self._draw_time,
        }
        return "; ".join(["draws" if is_looked_at else "nobody looks", *self._conditions.texts]), values

    # The methods below draw the camera.

    def _image_sources(self) -> Sequence[Source]:
        found = topics.camera_images(self._camera, self._config.robot)
        camera = next((each for each in found if self.count_publishers(each.name)), found[0])
        return (
            Source(topics.EPISODE_STATE, self._on_state),
            Source(topics.EPISODE_EVENT, self._on_event),
            Source(topics.DIAGNOSTICS, self._on_diagnostics, qos.RELAXED),
            Source(camera, self._on_image, qos.SENSOR),
        )

    def _on_state(self, message: msg.EpisodeState) -> None:
        counts = message.counts
        self._facts = dataclasses.replace(
            self._facts,
            prompt=message.prompt,
            episode=message.episode,
            phase=f"{_PHASES.get(message.phase, '?')}{', paused' if message.paused else ''}",
            num_chunks=message.num_chunks,
            num_steps=message.num_steps,
            total_reward=message.total_reward,
            num_solved=sum(each.num_success for each in counts),
            num_episodes=sum(each.num_success + each.num_failure + each.num_time_limit for each in counts),
            waits_for=message.waits_for,
            command=message.command,
        )

    def _on_event(self, message: msg.EpisodeEvent) -> None:
        event = msg.EpisodeEvent
        if message.event == event.ENDED and message.outcome in (event.SUCCESS, event.FAILURE, event.TIME_LIMIT):
            solved = message.outcome == event.SUCCESS and not message.intervened
            self._facts = dataclasses.replace(self._facts, was_solved=solved)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if own_name(status, self.get_namespace()) == "policy_node":
                chunk = read_chunk({each.key: each.value for each in status.values})
                self._facts = dataclasses.replace(self._facts, chunk=chunk or self._facts.chunk)

    def _on_image(self, message: Image | CompressedImage) -> None:
        now = time.monotonic()
        if now - self._drawn_at < max(DRAW_PERIOD, self._draw_time / LARGEST_SHARE):
            return
        try:
            image = image_from_message(message)
        except ValueError as error:
            self._conditions.raise_condition(sensor_conditions.IMAGE_UNREADABLE, camera=self._camera, reason=str(error))
            return
        self._conditions.clear_condition(sensor_conditions.IMAGE_UNREADABLE, camera=self._camera)
        data = to_jpeg(annotate(image, self._facts))
        self._images.publish(CompressedImage(header=message.header, format="jpeg", data=data))
        self._drawn_at, self._num_drawn, self._draw_time = now, self._num_drawn + 1, time.monotonic() - now

    # The methods below draw the paths of chunks.

    def _marker_sources(self) -> Sequence[Source]:
        asked = [
            Source(topic, lambda message, side=side: self._on_asked(side, message), qos.RELAXED)  # type: ignore[misc]
            for side, topic in topics.CHUNK_TRAJECTORIES.items()
        ]
        return (*asked, Source(topics.EXECUTION_RESULT, self._on_result, qos.RELAXED))

    def _on_asked(self, side: str, message: JointTrajectory) -> None:
        try:
            trajectory = arm_trajectory_from_message(message)
        except ValueError:
            return  # robot_node refuses it and says why.
        points = table_points(trajectory.positions[:, : len(aloha.ARM_JOINTS)], side)
        self._asked.add(side, trajectory.stamp, points)
        self._publish_markers(running_markers(side, points, stamp=trajectory.stamp))

    def _on_result(self, message: msg.ExecutionResult) -> None:
        try:
            result = conversions.execution_from_message(message)
        except ValueError:
            return  # reward_node refuses it and says why.
        if not len(result.commanded):
            return
        stamp = time_to_ns(message.header.stamp)
        for side in aloha.SIDES:
            path, asked = executed_path(result.commanded, result.causes, side), self._asked.find(side, stamp)
            self._publish_markers(ended_markers(side, path, asked=asked, human=result.human_driven, stamp=stamp))


def _drop(markers: list[Any]) -> None:
    """Drops markers, because visualization_msgs is not installed."""


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Runs the node until it is stopped, and ends the process."""
    os.nice(NICENESS)
    run_node(ViewNode, args)


if __name__ == "__main__":
    main()
