"""Writes the sensor readings before a segment that a human drives as bytes, and reads them."""

from __future__ import annotations

import io

import numpy as np

from chunk_ppo_ros.agent.next_step.stored_rollout import OpenSegment
from chunk_ppo_ros.nodes.policy.sensors import make_observation
from chunk_ppo_ros.robot.sensor_sync import SyncedSensors


def encode_segment(segment: OpenSegment, *, image_size: int) -> bytes:
    """Returns a segment as the content of an npz file. Its images have the size that the model takes.

    Args:
        segment: the segment.
        image_size: the side of the squares that images are fitted into, pixels.
    """
    readings = segment.readings
    seen = make_observation(readings, image_size=image_size, prompt="")
    numbers = np.array([segment.episode, segment.stamp, readings.stamp, readings.newest], np.int64)
    file = io.BytesIO()
    np.savez(file, numbers=numbers, images=seen.images, image_mask=seen.image_mask, state=seen.state)
    return file.getvalue()


def decode_segment(content: bytes) -> OpenSegment:
    """Returns the segment that `encode_segment` wrote."""
    with np.load(io.BytesIO(content)) as fields:
        episode, begin, stamp, newest = fields["numbers"].tolist()
        mask = fields["image_mask"]
        images = tuple(image if seen else None for image, seen in zip(fields["images"], mask, strict=True))
        return OpenSegment(begin, episode, SyncedSensors(images, mask, fields["state"], stamp, newest))
