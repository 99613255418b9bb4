"""Chooses the topics of a demonstration: the joint states of the arms of one robot, and one topic for each camera."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Collection, Sequence

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.bags.bag_messages import Bags, ends_with
from chunk_ppo_ros.data.topic_names import (
    ACTION_CHUNK,
    ARM_COMMANDS,
    FOLLOWER_STATES,
    JOINT_GROUP_COMMANDS,
    LEADER_STATES,
)
from chunk_ppo_ros.robot import aloha

PARTS = ("follower", "leader")  # The first gives the state, the second the action.
_TOPICS = {"follower": FOLLOWER_STATES, "leader": LEADER_STATES}
ARMS = {topic: (part, side) for part in PARTS for side, topic in _TOPICS[part].items()}
"""The part and the side of each arm, by the relative name of the topic of its joint states."""
JOINT_STATE = "sensor_msgs/msg/JointState"
IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
_COMMANDS = (*JOINT_GROUP_COMMANDS.values(), *ARM_COMMANDS.values())


@dataclasses.dataclass(frozen=True)
class TeleopTopics:
    """Holds the topics that are read.

    Attributes:
        arms: the part ("follower" or "leader") and the side of each topic of joint states.
        sides: the sides that are read, the left one first.
        cameras: the camera of each topic of images.
        unused: the other topics with their types.
    """

    arms: dict[str, tuple[str, str]]
    sides: tuple[str, ...]
    cameras: dict[str, str]
    unused: tuple[str, ...]


def choose_topics(reader: Bags, config: TrainConfig, bag: pathlib.Path) -> TeleopTopics:
    """Returns the topics of a bag that are read.

    Raises:
        EpisodesError: where an arm is missing, the bag has several robots, joint states have another type, or the bag
            is a recording of recorder_node.
    """
    types = {channel.topic: channel.type_name for channel in reader.channels}
    if any(ends_with(topic, ACTION_CHUNK) for topic in types):
        raise EpisodesError(
            f"a recorded demonstration must have no {ACTION_CHUNK}, got a recording of recorder_node in {bag}; put it "
            "into a folder of its own"
        )
    counts = [topic for topic in types if any(ends_with(topic, name) for name in ARMS)]
    arms = {topic: arm for topic in sorted(counts) for name, arm in ARMS.items() if ends_with(topic, name)}
    _check_arms(arms, types, bag)
    sides = _sides(arms, types, config, bag)
    images = [topic for topic, type_name in types.items() if type_name in IMAGE_TYPES]
    cameras = _camera_topics(images, config.robot.image_topics, bag)
    unused = sorted(f"{topic}, {types[topic]}" for topic in types if topic not in arms and topic not in cameras)
    return TeleopTopics(arms, sides, cameras, tuple(unused))


def missing_arms_error(silent: Sequence[str], types: Collection[str], bag: pathlib.Path) -> EpisodesError:
    """Returns the error for arms that sent nothing, which names them and the topics that there are."""
    found = ", ".join(sorted(types)) or "none"
    commands = sorted(topic for topic in types if any(ends_with(topic, name) for name in _COMMANDS))
    hint = f"; the commands on {', '.join(commands)} are not read in place of the leaders" if commands else ""
    return EpisodesError(
        f"a recorded demonstration must have {', '.join(ARMS)}, got nothing on {', '.join(silent)} and the topics "
        f"{found} in {bag}{hint}; record these topics, or record with recorder_node"
    )


def _check_arms(arms: dict[str, tuple[str, str]], types: dict[str, str], bag: pathlib.Path) -> None:
    for topic, arm in arms.items():
        same = [other for other, each in arms.items() if each == arm]
        if len(same) > 1:
            raise EpisodesError(
                f"a recorded demonstration must be of one robot, got the {arm[0]} {arm[1]} arm on {' and '.join(same)} "
                f"in {bag}; record each robot in a bag of its own"
            )
        if types[topic] != JOINT_STATE:
            raise EpisodesError(
                f"joint states must be {JOINT_STATE}, got {types[topic]} on {topic} in {bag}; record the joint states "
                "of the arm's driver"
            )


def _sides(
    arms: dict[str, tuple[str, str]], types: dict[str, str], config: TrainConfig, bag: pathlib.Path
) -> tuple[str, ...]:
    """Returns both sides, or the recorded one where the policy has one arm."""
    present = set(arms.values())
    whole = tuple(side for side in aloha.SIDES if all((part, side) in present for part in PARTS))
    if len(whole) == 1 and len(present) == len(PARTS) and config.model.action_dim == aloha.SIDE_DIM:
        return whole
    if len(whole) == len(aloha.SIDES):
        return whole
    silent = [topic for topic, arm in ARMS.items() if arm not in present]
    raise missing_arms_error(silent, types, bag)


def _camera_topics(topics: list[str], image_topics: tuple[str, ...], bag: pathlib.Path) -> dict[str, str]:
    """Returns the camera of each topic that is read: one for each camera, an earlier pattern and raw images first.

    Raises:
        EpisodesError: where a camera has two topics of the same kind, in two namespaces.
    """
    chosen: dict[str, str] = {}
    for raw in (True, False):
        for image_topic in image_topics:
            pattern = re.compile(_camera_pattern(image_topic))
            found: dict[str, str] = {}
            for topic in sorted(topics):
                match = pattern.search(topic)
                if match and topic.endswith(aloha.COMPRESSED) != raw:
                    camera = match["camera"]
                    if camera in found and camera not in chosen:
                        raise EpisodesError(
                            f"a camera must have one topic, got {found[camera]} and {topic} for {camera} in {bag}; "
                            "record each robot in a bag of its own"
                        )
                    found[camera] = topic
            chosen = found | chosen
    return {topic: camera for camera, topic in chosen.items()}


def _camera_pattern(image_topic: str) -> str:
    """Returns a regular expression for the raw and compressed image topics of all cameras in any namespace."""
    name = image_topic.removeprefix("/").removesuffix(aloha.COMPRESSED)
    before, after = (re.escape(part) for part in name.split("{camera}", 1))
    return f"(?:^|/){before}(?P<camera>[^/]+){after}(?:{aloha.COMPRESSED})?$"
