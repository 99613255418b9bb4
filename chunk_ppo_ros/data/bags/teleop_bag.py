"""Reads demonstrations from bags of `ros2 bag record`. Each bag is an episode in which leader arms drove the followers.

The state comes from the joint states of the followers, and the action from those of the leaders, as in ALOHA's own
recorder. Images come from the camera topics, raw or compressed. Steps follow each other at the control rate, over the
time in which all sensors were recorded. Each step has the newest image of each camera, as policy_node would have had
it. Task and outcome may be given to the recording by `ros2 bag record --custom-data prompt="..." success=true`. This
module needs no ROS.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Iterator

import numpy as np
from rosbags.highlevel import AnyReader

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.core.stamps import stamp_of
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.data.bags.bag_messages import (
    METADATA,
    Track,
    custom_data,
    deserialize,
    ends_with,
    find_bags,
    find_topics,
    opened,
    read_message,
)
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.data.image_file import decode_file
from chunk_ppo_ros.data.topic_names import ACTION_CHUNK, FOLLOWER_STATES, LEADER_STATES
from chunk_ppo_ros.robot import aloha, grippers
from chunk_ppo_ros.robot.images import decode_image

_PARTS = ("follower", "leader")  # The first gives the state, the second the action.
_TOPICS = {"follower": FOLLOWER_STATES, "leader": LEADER_STATES}
_ARMS = {topic: (part, side) for part in _PARTS for side, topic in _TOPICS[part].items()}
_PROMPT, _SUCCESS = "prompt", "success"


@dataclasses.dataclass(frozen=True)
class _Recording:
    """Holds what is kept of all messages.

    Attributes:
        arms: the stamps, ns, and states [7] by part ("follower" or "leader") and side.
        images: the topic of each camera, with the stamp and the time of recording, ns, of each image.
    """

    arms: dict[tuple[str, str], list[tuple[int, np.ndarray]]]
    images: dict[str, tuple[str, list[tuple[int, int]]]]


@dataclasses.dataclass(frozen=True)
class _Camera:
    """Finds the images of one camera.

    Attributes:
        bag: the folder of the bag.
        topic: the topic of the images.
        stamps: int64 [n], the rising stamps of the images, ns.
        received: int64 [n], the times when the images were recorded, ns.
        times: int64 [T], the times of the control steps, ns.
        max_age: the largest time from an image to its step, s.
    """

    bag: pathlib.Path
    topic: str
    stamps: np.ndarray
    received: np.ndarray
    times: np.ndarray
    max_age: float

    def read(self, step: int) -> np.ndarray:
        """Returns the newest image at a step, uint8 [h, w, 3].

        Raises:
            EpisodesError: where that image is too old, or cannot be read.
        """
        newest = int(np.searchsorted(self.stamps, self.times[step], side="right")) - 1
        age = (self.times[step] - self.stamps[newest]) * 1e-9
        if age > self.max_age:
            raise EpisodesError(
                f"images must be at most {self.max_age} s old at each step (env.sync_tolerance), got {age:.3g} s on "
                f"{self.topic}, step {step} of {self.bag}; leave the recording out"
            )
        stamp, received = int(self.stamps[newest]), int(self.received[newest])
        message = read_message((self.bag,), self.topic, received, stamp)
        where = f"{self.topic}, step {step} of {self.bag}"
        if hasattr(message, "format"):
            return decode_file(bytes(message.data), where)
        sizes = {"height": message.height, "width": message.width, "step": message.step}
        try:
            return decode_image(message.data, encoding=message.encoding, **sizes)
        except ValueError as error:
            raise EpisodesError(f"{error}; got it on {where}") from error


class TeleopBagReader:
    """Reads demonstrations, each of which is a bag, as an `EpisodeReader`."""

    description = f"recordings of `ros2 bag` ({METADATA}, or folders that have it)"

    def recognizes(self, path: pathlib.Path) -> bool:
        """Returns whether the first bag of the path has joint states of leader arms and no chunks of a policy."""
        topics = find_topics(path)
        chunks = any(ends_with(topic, ACTION_CHUNK) for topic in topics)
        return not chunks and any(ends_with(topic, name) for topic in topics for name in LEADER_STATES.values())

    def read(self, path: pathlib.Path, config: TrainConfig) -> Iterator[Episode]:
        """Yields one episode for each bag, as `read_teleop` returns it."""
        return (read_teleop(bag, config) for bag in find_bags(path))


def read_teleop(bag: pathlib.Path, config: TrainConfig) -> Episode:
    """Returns the episode of a bag.

    Args:
        bag: the folder of the bag.
        config: the settings, of which `robot` (control rate, grippers, image topics), `env.sync_tolerance` and
            `run.prompt` are read. `run.prompt` replaces the bag's own prompt where it is not empty.

    Raises:
        EpisodesError: where the bag cannot be read, lacks an arm, or has no time in which all sensors were recorded.
    """
    recording = _Recording({arm: [] for arm in _ARMS.values()}, {})
    with opened([bag]) as reader:
        _read(reader, recording, config, bag)
    custom = custom_data(bag)
    times = _step_times(recording, config, bag)
    tracks = {arm: Track.of([(stamp * 1e-9, state) for stamp, state in known]) for arm, known in recording.arms.items()}
    states, actions = (
        np.concatenate(
            [tracks[part, side].at(times * 1e-9, f"the {part} {side} arm in {bag}") for side in aloha.SIDES],
            axis=1,
            dtype=np.float32,
        )
        for part in _PARTS
    )
    cameras = {}
    for camera, (topic, images) in recording.images.items():
        stamps, received = np.array(sorted(images), np.int64).T
        cameras[camera] = _Camera(bag, topic, stamps, received, times, config.env.sync_tolerance).read
    prompt = config.run.prompt or custom.get(_PROMPT, "")
    return Episode(str(bag), states, actions, config.robot.control_rate, prompt, _success(custom, bag), cameras)


def _success(custom: dict[str, str], bag: pathlib.Path) -> bool | None:
    stored = custom.get(_SUCCESS, "")
    if stored not in ("", "true", "false"):
        raise EpisodesError(
            f"custom data {_SUCCESS} must be true or false, got {stored!r} in {bag / METADATA}; correct it"
        )
    return stored == "true" if stored else None


def _step_times(recording: _Recording, config: TrainConfig, bag: pathlib.Path) -> np.ndarray:
    """Returns the times of the control steps, int64 [T], ns.

    They begin when all sensors had sent something, and end when the first of them ended.
    """
    joints = [[stamp for stamp, _ in readings] for readings in recording.arms.values()]
    images = [[stamp for stamp, _ in images] for _, images in recording.images.values()]
    first = max(min(stamps) for stamps in (*joints, *images))
    late = round(config.env.sync_tolerance * NANOSECONDS)  # A camera's last image may be used for so long.
    last = min([*(max(stamps) for stamps in joints), *(max(stamps) + late for stamps in images)])
    period = NANOSECONDS / config.robot.control_rate
    if last < first:
        raise EpisodesError(
            f"joint states and images must be recorded at the same time, got none before the others ended in {bag}; "
            "check the clocks of the machines"
        )
    return first + np.round(np.arange(int((last - first) / period) + 1) * period).astype(np.int64)


def _read(reader: AnyReader, recording: _Recording, config: TrainConfig, bag: pathlib.Path) -> None:
    """Adds the joint states, and where each image is, to the recording.

    Raises:
        EpisodesError: where an arm has sent nothing.
    """
    convention = grippers.convention_of(config.robot)
    arms = {
        each.topic: arm for each in reader.connections for topic, arm in _ARMS.items() if ends_with(each.topic, topic)
    }
    cameras = _camera_topics([each.topic for each in reader.connections], config.robot.image_topics)
    wanted = [each for each in reader.connections if each.topic in arms or each.topic in cameras]
    for connection, received, data in reader.messages(wanted):
        if connection.topic in cameras:
            _, images = recording.images.setdefault(cameras[connection.topic], (connection.topic, []))
            images.append((stamp_of(data), received))
            continue
        message, (part, side) = deserialize(reader, data, connection.msgtype), arms[connection.topic]
        state_of = aloha.side_state if part == "follower" else aloha.leader_state
        state = state_of(message.name, message.position, convention)
        recording.arms[part, side].append((stamp_of(data), state))
    silent = [topic for topic, arm in _ARMS.items() if not recording.arms[arm]]
    if silent:
        found = ", ".join(sorted({each.topic for each in reader.connections})) or "none"
        raise EpisodesError(
            f"a recorded demonstration must have {', '.join(_ARMS)}, got nothing on {', '.join(silent)} and the topics "
            f"{found} in {bag}; record these topics, or record with recorder_node"
        )


def _camera_topics(topics: list[str], image_topics: tuple[str, ...]) -> dict[str, str]:
    """Returns the camera of each topic that is read: one for each camera, an earlier pattern and raw images first."""
    chosen: dict[str, str] = {}
    for raw in (True, False):
        for image_topic in image_topics:
            pattern = re.compile(_camera_pattern(image_topic))
            for topic in sorted(topics):
                match = pattern.search(topic)
                if match and topic.endswith(aloha.COMPRESSED) != raw:
                    chosen.setdefault(match["camera"], topic)
    return {topic: camera for camera, topic in chosen.items()}


def _camera_pattern(image_topic: str) -> str:
    """Returns a regular expression for the raw and compressed image topics of all cameras in any namespace."""
    name = image_topic.removeprefix("/").removesuffix(aloha.COMPRESSED)
    before, after = (re.escape(part) for part in name.split("{camera}", 1))
    return f"(?:^|/){before}(?P<camera>[^/]+){after}(?:{aloha.COMPRESSED})?$"
