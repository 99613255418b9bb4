"""Converts the observations that the model takes to and from their messages."""

from __future__ import annotations

import numpy as np
from chunk_ppo_msgs import msg

from chunk_ppo_ros.core import types
from chunk_ppo_ros.core.types import ObservationSource
from chunk_ppo_ros.nodes.wire.arrays import from_array, from_bools, time_from_ns, time_to_ns, to_array, to_bools


def observation_to_message(observation: types.ModelObservation, source: ObservationSource) -> msg.ModelObservation:
    """Returns the message of one observation without batch axis."""
    num_cameras, height, width, _ = observation.images.shape
    return msg.ModelObservation(
        stamp=time_from_ns(source.stamp),
        num_cameras=num_cameras,
        height=height,
        width=width,
        images=to_array(observation.images, "uint8"),
        image_mask=to_bools(observation.image_mask),
        state=to_array(observation.state, "float32"),
        prompt=source.prompt,
        prompt_tokens=to_array(observation.prompt_tokens, "int32"),
        prompt_length=int(np.sum(observation.prompt_mask)),
    )


def observation_from_message(message: msg.ModelObservation, name: str = "observation") -> types.ModelObservation:
    """Returns the observation of a message.

    Args:
        message: the message.
        name: the prefix of field names in errors.

    Raises:
        ValueError: when a field does not fit the others or is not finite.
    """
    num_slots = len(message.prompt_tokens)
    if not 0 <= message.prompt_length <= num_slots:
        raise ValueError(f"{name}.prompt_length must be within 0..{num_slots}, got {message.prompt_length}")
    if not len(message.state):
        raise ValueError(f"{name}.state must not be empty")
    shape = (message.num_cameras, message.height, message.width, 3)
    return types.ModelObservation(
        images=from_array(message.images, "uint8", shape, f"{name}.images"),
        image_mask=from_bools(message.image_mask, message.num_cameras, f"{name}.image_mask"),
        prompt_tokens=from_array(message.prompt_tokens, "int32", (num_slots,), f"{name}.prompt_tokens"),
        prompt_mask=np.arange(num_slots) < message.prompt_length,
        state=from_array(message.state, "float32", (len(message.state),), f"{name}.state"),
    )


def source_from_message(message: msg.ModelObservation) -> ObservationSource:
    """Returns the stamp and prompt of an observation's message."""
    return ObservationSource(time_to_ns(message.stamp), message.prompt)
