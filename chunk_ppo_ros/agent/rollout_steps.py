"""The steps that the policy can take next. There are four kinds, each with what it needs and nothing else.

Two steps that are equal are the same step. Whoever computed for a while compares, to see whether the result is still
wanted.
"""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.agent.human_segments import Segment
from chunk_ppo_ros.core.types import ChunkId


@dataclasses.dataclass(frozen=True)
class Sample:
    """The policy samples a chunk and sends it to the robot.

    Attributes:
        chunk: the identity of the chunk.
        policy_version: the version of the weights that must sample it.
        newer_than: the observation must be newer than this ROS time in ns.
    """

    chunk: ChunkId
    policy_version: int
    newer_than: int


@dataclasses.dataclass(frozen=True)
class EncodeSegment:
    """The policy encodes what a human drove as a chunk, which is sent for training and not to the robot.

    Attributes:
        chunk: the identity of the chunk.
        policy_version: the version of the weights that must encode and value it.
        segment: what the human drove.
    """

    chunk: ChunkId
    policy_version: int
    segment: Segment


@dataclasses.dataclass(frozen=True)
class Bootstrap:
    """The policy sends the value of the observation after a segment of the trace.

    Attributes:
        chunk: the last chunk of the segment.
        policy_version: the version of the weights that must compute the value, the one that made the chunk.
        newer_than: the observation must be newer than this ROS time in ns.
    """

    chunk: ChunkId
    policy_version: int
    newer_than: int


@dataclasses.dataclass(frozen=True)
class Hold:
    """The policy does nothing.

    Attributes:
        reason: why it does nothing, in words.
    """

    reason: str


Step = Sample | EncodeSegment | Bootstrap | Hold
