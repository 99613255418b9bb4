"""Publishes the messages of policy_node: chunks, their trajectories for robot_node, and values after a segment."""

from __future__ import annotations

import dataclasses

import numpy as np
from chunk_ppo_msgs import msg
from rclpy.node import Node
from rclpy.publisher import Publisher

from chunk_ppo_ros.agent.next_step.rollout_steps import Bootstrap, EncodeSegment, SampleChunk
from chunk_ppo_ros.core.chunk_origin import ChunkOrigin
from chunk_ppo_ros.core.stamps import StampSource
from chunk_ppo_ros.core.types import ModelObservation, ObservationSource, SampledChunk
from chunk_ppo_ros.nodes.common.newest_chunk import NewestChunk
from chunk_ppo_ros.nodes.wire import conversions, topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.nodes.wire.sensors import joints
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.sensor_sync import SyncedSensors


class ChunkPublisher:
    """Publishes on `action_chunk`, `bootstrap` and `robot/<side>/joint_trajectory`.

    Args:
        node: the node that publishes, and whose clock gives the stamps.
        control_rate: the rate at which steps are executed, Hz.

    Attributes:
        newest: the newest chunk that was published, or None before any.
    """

    def __init__(self, node: Node, *, control_rate: float) -> None:
        self._clock = node.get_clock()
        self._period = 1.0 / control_rate
        self.newest: NewestChunk | None = None
        self._stamps = StampSource()
        self._chunks = topics.ACTION_CHUNK.create_publisher(node)
        self._bootstraps = topics.BOOTSTRAP.create_publisher(node)
        self._trajectories = {side: topic.create_publisher(node) for side, topic in topics.CHUNK_TRAJECTORIES.items()}

    @property
    def publishers(self) -> tuple[Publisher, ...]:
        """The publishers whose messages are lost if nobody listens."""
        return (self._chunks, self._bootstraps, *self._trajectories.values())

    def note_stamp(self, stamp: int) -> None:
        """Records the stamp of a chunk of an earlier process, ns of ROS time, which is not given again."""
        self._stamps.note(stamp)

    def sampled_message(self, step: SampleChunk, chunk: SampledChunk, readings: SyncedSensors) -> msg.ActionChunk:
        """Returns the message of a sampled chunk, with a stamp that no chunk had before.

        Args:
            step: the step, which says the identity of the chunk and the prompt of its episode.
            chunk: the chunk.
            readings: the sensor readings that it was sampled from.
        """
        stamp = self._stamps.next(self._clock.now().nanoseconds)
        sampled = dataclasses.replace(chunk, source=ObservationSource(readings.stamp, step.prompt))
        return conversions.chunk_to_message(step.chunk, sampled, stamp=stamp)

    def human_driven_message(self, step: EncodeSegment, chunk: SampledChunk) -> msg.ActionChunk:
        """Returns the message of a chunk that a human drove. The robot has executed it already."""
        segment = step.segment
        self._stamps.note(segment.stamp)
        driven = dataclasses.replace(chunk, source=ObservationSource(segment.readings.stamp, step.prompt))
        return conversions.chunk_to_message(step.chunk, driven, stamp=segment.stamp)

    def publish_chunk(self, message: msg.ActionChunk) -> None:
        """Publishes a chunk. The trajectories follow, so that a receiver of a trajectory can know its chunk."""
        self._chunks.publish(message)
        self.newest = NewestChunk(
            sequence_number=message.sequence_number,
            episode=message.episode,
            chunk=message.chunk,
            policy_version=message.policy_version,
            value=message.value,
            num_steps=message.num_steps_asked,
            human=message.human,
            stamp=time_to_ns(message.header.stamp),
            observation_stamp=time_to_ns(message.observation.stamp),
        )

    def publish_trajectories(self, message: msg.ActionChunk, *, max_steps: int) -> None:
        """Publishes the trajectories of a chunk of the policy, with the stamp of the chunk.

        Args:
            message: the chunk.
            max_steps: the greatest number of steps to send, at least 1.
        """
        shape = (message.horizon, message.action_dim)
        actions = np.frombuffer(message.actions, np.float32).reshape(shape)
        targets = actions[: min(message.num_steps_asked, max_steps)]
        stamp = time_to_ns(message.header.stamp)
        origin = ChunkOrigin(message.run_id, message.sequence_number, time_to_ns(message.observation.stamp))
        for side, publisher in self._trajectories.items():
            half = targets[:, aloha.side_slice(side)]
            trajectory = joints.arm_trajectory_to_message(half, stamp=stamp, period=self._period, origin=origin)
            publisher.publish(trajectory)

    def publish_bootstrap(self, message: msg.Bootstrap) -> None:
        """Publishes the observation after a segment and its value."""
        self._bootstraps.publish(message)


def bootstrap_message(
    step: Bootstrap, observation: ModelObservation, value: float, readings: SyncedSensors, *, stamp: int
) -> msg.Bootstrap:
    """Returns the message of the observation after a segment and its value.

    Args:
        step: the step, which holds the last chunk of the segment and the version that computed the value.
        observation: the observation in the form that the model takes.
        value: V(observation), in units of reward.
        readings: the sensor readings of the observation.
        stamp: the stamp of the last chunk, ns of ROS time.
    """
    source = ObservationSource(readings.stamp, step.prompt)
    return conversions.bootstrap_to_message(
        step.chunk, observation, source, stamp=stamp, value=value, policy_version=step.policy_version
    )
