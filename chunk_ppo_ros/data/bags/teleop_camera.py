"""Finds the images of a demonstration's cameras, without holding them."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.bags.bag_messages import MessagePlace
from chunk_ppo_ros.data.bags.image_forms import ImageForm, decode
from chunk_ppo_ros.data.bags.sensor_log import SensorLog
from chunk_ppo_ros.data.bags.single_messages import read_message
from chunk_ppo_ros.data.bags.storage.stored import Channel


@dataclasses.dataclass
class ReadTopic:
    """Collects the messages of a topic, in the order in which they were recorded."""

    channel: Channel
    times: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    states: list[np.ndarray] = dataclasses.field(default_factory=list)
    places: list[MessagePlace] = dataclasses.field(default_factory=list)
    forms: dict[ImageForm, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class RecordedCamera:
    """Finds the images of one camera.

    Attributes:
        bag: the folder of the bag.
        channel: the topic of the images and their type.
        stamps: int64 [n], the rising times of the images, ns.
        headers: int64 [n], the stamps in their headers, ns.
        places: where they are, n places.
        times: int64 [T], the times of the control steps, ns.
        max_age: the largest time from an image to its step, s.
        problem: why the images cannot be used; empty where they can.
    """

    bag: pathlib.Path
    channel: Channel
    stamps: np.ndarray
    headers: np.ndarray
    places: tuple[MessagePlace, ...]
    times: np.ndarray
    max_age: float
    problem: str

    def read(self, step: int) -> np.ndarray:
        """Returns the newest image at a step, uint8 [h, w, 3].

        Raises:
            EpisodesError: where that image is too old, or cannot be read.
        """
        if self.problem:
            raise EpisodesError(self.problem)
        newest, age = self._newest(step)
        if age > self.max_age:
            raise EpisodesError(
                f"images must be at most {self.max_age} s old at each step (env.sync_tolerance), got {age:.3g} s on "
                f"{self.channel.topic}, step {step} of {self.bag}; leave the recording out"
            )
        message = read_message((self.bag,), self.channel, self.places[newest], int(self.headers[newest]))
        return decode(message, f"{self.channel.topic}, step {step} of {self.bag}")

    def worst(self) -> tuple[float, int]:
        """Returns the age of the oldest image at a step, s, and the step."""
        newest = np.searchsorted(self.stamps, self.times, side="right") - 1
        ages = (self.times - self.stamps[newest]) * 1e-9
        return float(np.max(ages)), int(np.argmax(ages))

    def _newest(self, step: int) -> tuple[int, float]:
        """Returns the index of the newest image at a step, and its age, s."""
        newest = int(np.searchsorted(self.stamps, self.times[step], side="right")) - 1
        return newest, float(self.times[step] - self.stamps[newest]) * 1e-9


def to_camera(
    read: ReadTopic, log: SensorLog, times: np.ndarray, config: TrainConfig, bag: pathlib.Path
) -> RecordedCamera:
    """Returns the camera of a topic for control steps at times [T], ns."""
    order = np.argsort(log.stamps, kind="stable")
    headers = np.array([stamp for stamp, _ in read.times], np.int64)[order]
    places = tuple(read.places[index] for index in order)
    problem = ""
    if len({(form.height, form.width) for form in read.forms if form.height}) > 1:
        found = ", ".join(f"{count} of {form}" for form, count in read.forms.items())
        problem = f"the images of a camera must have one size, got {found} on {log.topic} in {bag}; leave it out"
    return RecordedCamera(
        bag, read.channel, log.stamps[order], headers, places, times, config.env.sync_tolerance, problem
    )
