"""Measures the time of policy_node from sensor messages to the observation that the model takes.

The messages are handed to policy_node's own `Sensors`, without topics. `python -m chunk_ppo_ros bench` starts the
measurement.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image, JointState

from chunk_ppo_ros.agent.run_start.tokenizer_fitting import fit_tokenizer
from chunk_ppo_ros.config import PRESETS, TrainConfig
from chunk_ppo_ros.evaluation.bench.bench_inputs import PROMPT, random_image, random_state
from chunk_ppo_ros.evaluation.bench.measurement import Case, Figure, measure, milliseconds
from chunk_ppo_ros.nodes.common.conditions import Condition
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.policy.sensors import Sensors, make_observation
from chunk_ppo_ros.nodes.wire.sensors.image_messages import image_to_message
from chunk_ppo_ros.nodes.wire.sensors.joints import StateMessage
from chunk_ppo_ros.robot import aloha, grippers

CAMERA_SIZE = (480, 640)  # the rows and columns of images from the robot's cameras

Callback = Callable[[Any], None]
"""A function that takes one message of a subscription."""


class Subscriptions:
    """Replaces policy_node. It keeps the callbacks instead of subscribing, and turns conditions into errors."""

    def __init__(self) -> None:
        self.callbacks: list[tuple[type, Callback]] = []

    def create_subscription(self, message_type: type, topic: str, callback: Callback, profile: object) -> None:
        """Keeps a callback, in the order of subscription."""
        self.callbacks.append((message_type, callback))

    def raise_condition(self, condition: Condition, **values: object) -> None:
        """Raises an error, because a message that was handed over is refused."""
        raise RuntimeError(f"{condition.key.format(**values)}: {condition.text.format(**values)}")

    def clear_condition(self, condition: Condition, **values: object) -> None:
        """Does nothing, because all is well."""


class _Observing:
    """Makes observations of serialized sensor messages, with the parts of policy_node that do so.

    Args:
        config: the configuration of the tokenizer and of the sensors.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self._tokenizer = fit_tokenizer(config)
        self._subscriptions = Subscriptions()
        self._sensors = Sensors(cast(WorkerNode, self._subscriptions), config, on_news=lambda: None)
        self._stamps = itertools.count(1)
        self._random = np.random.default_rng()

    def messages(self) -> list[Image | JointState]:
        """Returns one new message of each sensor, all with the same stamp."""
        stamp = next(self._stamps)
        kinds = [kind for kind, _ in self._subscriptions.callbacks]
        return [_message(kind, self._config, self._random, stamp=stamp) for kind in kinds]

    def serialized(self) -> list[tuple[bytes, type]]:
        """Returns one new message of each sensor in CDR, with its type."""
        return [(serialize_message(message), type(message)) for message in self.messages()]

    def observe(self, messages: list[Image | JointState], *, image_size: int) -> None:
        """Makes the model's observation of messages that arrive now, with images of `image_size` pixels."""
        for (_, callback), message in zip(self._subscriptions.callbacks, messages, strict=True):
            callback(message)
        readings = self._sensors.take(newer_than=0)
        if readings is None:
            raise RuntimeError("one reading of each sensor must make an observation, got none; the bench is broken")
        self._tokenizer.observe(make_observation(readings, image_size=image_size, prompt=PROMPT))


def observing(config: TrainConfig, image_sizes: Sequence[int], *, runs: int) -> list[Figure]:
    """Measures deserializing one set of sensor messages, and making its observation at each image size."""
    bench = _Observing(config)
    sensor_names = f"{len(config.model.cameras)} images {CAMERA_SIZE[0]}x{CAMERA_SIZE[1]}"
    cases: list[Case] = []
    for size in image_sizes:
        name = f"{sensor_names} to observation at {size}"
        cases.append(Case(name, "ms", bench.messages, partial(bench.observe, image_size=size), milliseconds))
    name = f"before that: {sensor_names} deserialized"
    cases.append(Case(name, "ms", bench.serialized, _deserialize, milliseconds))
    return measure("observe", cases, runs=runs)


def _deserialize(serialized: list[tuple[bytes, type]]) -> None:
    for content, kind in serialized:
        deserialize_message(content, kind)


def _message(kind: type, config: TrainConfig, random: np.random.Generator, *, stamp: int) -> Image | JointState:
    if kind is Image:
        return image_to_message(random_image(random, *CAMERA_SIZE), stamp=stamp, frame_id="camera")
    convention = grippers.convention_of(config.robot)
    return StateMessage(convention).fill(random_state(random)[: aloha.SIDE_DIM], stamp=stamp)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--folder", help="is not used, because everything stays in memory")
    parser.add_argument("--image_sizes", type=int, nargs="+", required=True)
    given = parser.parse_args(arguments)
    debug = PRESETS["debug"]
    pretrain = dataclasses.replace(debug.pretrain, num_demonstrations=16, demonstration_workers=1)
    figures = observing(dataclasses.replace(debug, pretrain=pretrain), given.image_sizes, runs=given.runs)
    print(json.dumps([figure.record() for figure in figures]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
