"""The four kinds of steps that the policy can take next.

Two steps that are equal are the same step. After a long computation, the policy compares the step it computed with the
step that is due now, to see whether the result is still needed.
"""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.agent.next_step.human_segments import Segment
from chunk_ppo_ros.core.types import ChunkId


@dataclasses.dataclass(frozen=True)
class SampleChunk:
    """The step in which the policy samples a chunk and sends it to the robot.

    Attributes:
        chunk: the identity of the chunk.
        policy_version: the version of the weights that must sample it.
        newer_than: the observation must be newer than this ROS time in ns.
        prompt: the task of the chunk's episode in words.
    """

    chunk: ChunkId
    policy_version: int
    newer_than: int
    prompt: str


@dataclasses.dataclass(frozen=True)
class EncodeSegment:
    """The step in which the policy encodes a human's targets as a chunk and sends it to the trainer, not to the robot.

    Attributes:
        chunk: the identity of the chunk.
        policy_version: the version of the weights that must encode and value it.
        segment: the segment that the human drove.
        prompt: the task of the chunk's episode in words.
    """

    chunk: ChunkId
    policy_version: int
    segment: Segment
    prompt: str


@dataclasses.dataclass(frozen=True)
class Bootstrap:
    """The step in which the policy sends the value of the observation after a segment of the trace.

    Attributes:
        chunk: the last chunk of the segment.
        policy_version: the version of the weights that must compute the value, the one that made the chunk.
        newer_than: the observation must be newer than this ROS time in ns.
        prompt: the task of the chunk's episode in words.
    """

    chunk: ChunkId
    policy_version: int
    newer_than: int
    prompt: str


@dataclasses.dataclass(frozen=True)
class Hold:
    """The step in which the policy does nothing.

    Attributes:
        reason: why it does nothing, in words.
    """

    reason: str


Step = SampleChunk | EncodeSegment | Bootstrap | Hold
"""Any of the four steps."""
