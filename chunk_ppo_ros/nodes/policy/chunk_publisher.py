"""Publishes the messages of policy_node: chunks, their trajectories for robot_node, and values after a segment."""

from __future__ import annotations

import dataclasses

from rclpy.node import Node
from rclpy.publisher import Publisher

from chunk_ppo_ros.agent.next_step.rollout_steps import Bootstrap, EncodeSegment, SampleChunk
from chunk_ppo_ros.core.chunk_origin import ChunkOrigin
from chunk_ppo_ros.core.stamps import StampSource
from chunk_ppo_ros.core.types import ChunkId, ModelObservation, ObservationSource, SampledChunk
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
        self._stamp = 0  # the stamp of the newest chunk, ns of ROS time
        self._chunks = topics.ACTION_CHUNK.create_publisher(node)
        self._bootstraps = topics.BOOTSTRAP.create_publisher(node)
        self._trajectories = {side: topic.create_publisher(node) for side, topic in topics.CHUNK_TRAJECTORIES.items()}

    @property
    def publishers(self) -> tuple[Publisher, ...]:
        """The publishers whose messages are lost if nobody listens."""
        return (self._chunks, self._bootstraps, *self._trajectories.values())

    def publish_sampled(
        self, step: SampleChunk, chunk: SampledChunk, readings: SyncedSensors, *, max_steps: int
    ) -> None:
        """Publishes a sampled chunk, and then its trajectories, all with one stamp.

        The chunk is published first, so that a receiver of a trajectory can know its chunk.

        Args:
            step: the step, which says the identity of the chunk and the prompt of its episode.
            chunk: the chunk.
            readings: the sensor readings that it was sampled from.
            max_steps: the greatest number of steps to send, at least 1.
        """
        self._stamp = self._stamps.next(self._clock.now().nanoseconds)
        sampled = dataclasses.replace(chunk, source=ObservationSource(readings.stamp, step.prompt))
        self._publish_chunk(step.chunk, sampled, stamp=self._stamp)
        targets = chunk.asked_actions[:max_steps]
        origin = ChunkOrigin(step.chunk.run_id, step.chunk.sequence_number, readings.stamp)
        for side, publisher in self._trajectories.items():
            half = targets[:, aloha.side_slice(side)]
            message = joints.arm_trajectory_to_message(half, stamp=self._stamp, period=self._period, origin=origin)
            publisher.publish(message)

    def publish_human_driven(self, step: EncodeSegment, chunk: SampledChunk) -> None:
        """Publishes a chunk that a human drove. The robot has executed it already."""
        segment = step.segment
        driven = dataclasses.replace(chunk, source=ObservationSource(segment.readings.stamp, step.prompt))
        self._publish_chunk(step.chunk, driven, stamp=segment.stamp)
        self._stamps.note(segment.stamp)
        self._stamp = segment.stamp

    def _publish_chunk(self, id: ChunkId, chunk: SampledChunk, *, stamp: int) -> None:
        message = conversions.chunk_to_message(id, chunk, stamp=stamp)
        self._chunks.publish(message)
        self.newest = NewestChunk(
            sequence_number=id.sequence_number,
            episode=id.episode,
            chunk=id.chunk,
            policy_version=message.policy_version,
            value=message.value,
            num_steps=message.num_steps_asked,
            human=message.human,
            stamp=stamp,
            observation_stamp=time_to_ns(message.observation.stamp),
        )

    def publish_bootstrap(
        self, step: Bootstrap, observation: ModelObservation, value: float, readings: SyncedSensors
    ) -> None:
        """Publishes the observation after a segment and its value.

        Args:
            step: the step, which holds the last chunk of the segment and the version that computed the value.
            observation: the observation in the form that the model takes.
            value: V(observation), in units of reward.
            readings: the sensor readings of the observation.
        """
        self._bootstraps.publish(
            conversions.bootstrap_to_message(
                step.chunk,
                observation,
                ObservationSource(readings.stamp, step.prompt),
                stamp=self._stamp,
                value=value,
                policy_version=step.policy_version,
            )
        )
