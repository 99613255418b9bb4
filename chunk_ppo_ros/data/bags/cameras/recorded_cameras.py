"""Finds what the cameras showed in the steps of a recording, where recorder_node recorded them (run.bag_cameras)."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.data.bags.bag_messages import MessagePlace, ends_with, opened
from chunk_ppo_ros.data.bags.image_forms import decode
from chunk_ppo_ros.data.bags.single_messages import read_message
from chunk_ppo_ros.data.bags.storage.bag_folder import find_bags
from chunk_ppo_ros.data.bags.storage.stored import Channel
from chunk_ppo_ros.data.bags.track import MissingStates
from chunk_ppo_ros.data.episode import Episode, ReadEndImage, camera_names
from chunk_ppo_ros.data.left_out import is_left_out
from chunk_ppo_ros.data.topic_names import CLOCK
from chunk_ppo_ros.robot import aloha

_SAME_TIME = 1_000_000
"""The time by which an image may be later than its step, ns. Simulated cameras and steps have the same time."""


@dataclasses.dataclass(frozen=True)
class CameraLog:
    """The recorded images of a camera, without their pixels.

    Attributes:
        channel: the topic of the images, and their type.
        stamps: int64 [n], the rising stamps of the images, ns.
        places: where they are, n places.
    """

    channel: Channel
    stamps: np.ndarray
    places: tuple[MessagePlace, ...]


@dataclasses.dataclass(frozen=True)
class RecordedCameras:
    """Reads the images that the cameras of a recording sent.

    Attributes:
        bags: the parts of the recording.
        logs: the images of each camera, by its name.
        max_age: the largest time from an image to the first step of an episode, s.
        max_wait: the largest time from the end of an episode to the image that shows it, s. It is 0 in lockstep, where
            time stands still after a chunk, and a later image is of the next scene.
    """

    bags: tuple[pathlib.Path, ...]
    logs: Mapping[str, CameraLog]
    max_age: float
    max_wait: float

    @classmethod
    def find(
        cls, bags: tuple[pathlib.Path, ...], topics: Mapping[str, str], *, max_age: float
    ) -> RecordedCameras | None:
        """Returns the cameras of a recording, or None where one of them was not recorded, or for several robots.

        Args:
            bags: the parts of the recording.
            topics: the topic of each camera without its namespace, by the name of the camera.
            max_age: see above. It is the largest time to the image of an end too, except in lockstep.
        """
        with opened(bags) as reader:
            names = {each.topic for each in reader.channels}
            matching = {
                camera: [name for name in names if ends_with(name, topic.lstrip("/"))]
                for camera, topic in topics.items()
            }
            if not matching or any(len(found) != 1 for found in matching.values()):
                return None
            cameras = {found[0]: camera for camera, found in matching.items()}
            stamps: dict[str, dict[int, MessagePlace]] = {camera: {} for camera in topics}
            channels: dict[str, Channel] = {}
            for stored in reader.messages(set(cameras)):
                camera = cameras[stored.topic]
                stamps[camera].setdefault(stored.stamp(), stored.place)
                channels[camera] = stored.channel
        if set(channels) != set(topics):
            return None
        logs = {
            camera: CameraLog(
                channels[camera],
                np.array(sorted(places), np.int64),
                tuple(places[stamp] for stamp in sorted(places)),
            )
            for camera, places in stamps.items()
        }
        return cls(bags, logs, max_age, max_wait=0.0 if CLOCK in names else max_age)

    def added_to(self, episode: Episode, times: np.ndarray) -> Episode:
        """Returns an episode with the newest image of each camera at each step.

        Its `image_steps` are those at which a new image had come, and its `end_images` the first ones from after its
        last step.

        Args:
            episode: the episode of T steps.
            times: float64 [T], the times at which its steps began, s.

        Raises:
            MissingStates: where a camera had sent no image shortly before the first step.
        """
        at = np.round(times * NANOSECONDS).astype(np.int64) + _SAME_TIME
        newest = {name: np.searchsorted(log.stamps, at, side="right") - 1 for name, log in self.logs.items()}
        for name, log in self.logs.items():
            first = newest[name][0]
            if first < 0 or at[0] - log.stamps[first] > (self.max_age * NANOSECONDS) + _SAME_TIME:
                raise MissingStates(
                    f"{name} was not recorded within {self.max_age:g} s before its first step (env.sync_tolerance)"
                )
        changed = np.any([np.diff(each, prepend=-1) != 0 for each in newest.values()], axis=0)
        cameras = {name: functools.partial(self._read, name, newest[name].tolist()) for name in self.logs}
        ends = self._ends(float(times[-1]) + 1.0 / episode.rate)
        return dataclasses.replace(episode, cameras=cameras, image_steps=np.flatnonzero(changed), end_images=ends)

    def _ends(self, end: float) -> dict[str, ReadEndImage]:
        """Returns what reads the first image of each camera from after a time, s; nothing where one is missing."""
        since = round(end * NANOSECONDS) - _SAME_TIME
        found: dict[str, ReadEndImage] = {}
        for name, log in self.logs.items():
            place = int(np.searchsorted(log.stamps, since))
            if place == len(log.stamps) or log.stamps[place] - since > self.max_wait * NANOSECONDS + 2 * _SAME_TIME:
                return {}
            found[name] = functools.partial(self._read_place, name, place)
        return found

    def _read(self, camera: str, newest: Sequence[int], step: int) -> np.ndarray:
        return self._read_place(camera, newest[step])

    def _read_place(self, camera: str, place: int) -> np.ndarray:
        log = self.logs[camera]
        message = read_message(self.bags, log.channel, log.places[place], int(log.stamps[place]))
        return decode(message, f"{log.channel.topic}, the image at {log.stamps[place]} ns")


def recorded_cameras(folder: pathlib.Path, config: TrainConfig) -> RecordedCameras | None:
    """Returns the cameras that recorder_node has recorded on `TOPIC/compressed`, or None where it has not.

    Args:
        folder: the folder of the recording.
        config: the settings, with the names and the topics of the cameras.
    """
    pattern = config.robot.image_topics[0]
    topics = {
        camera: aloha.camera_topic(pattern, camera).removesuffix(aloha.COMPRESSED) + aloha.COMPRESSED
        for camera in camera_names(config)
    }
    bags = tuple(bag for bag in find_bags(folder) if not is_left_out(str(bag), config.recordings.leave_out_episodes))
    return RecordedCameras.find(bags, topics, max_age=config.env.sync_tolerance)
