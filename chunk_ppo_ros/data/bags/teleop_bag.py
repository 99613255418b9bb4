"""Reads demonstrations from bags of `ros2 bag record`. Each bag is an episode in which leader arms drove the followers.

The state comes from the joint states of the followers, and the action from those of the leaders, as in ALOHA's own
recorder. Images come from the camera topics, raw or compressed. Steps follow each other at the control rate, over the
time in which all sensors were recorded. Each step has the newest image of each camera, as policy_node would have had
it. Task and outcome may be given to the recording by `ros2 bag record --custom-data prompt="..." success=true`. This
module needs no ROS.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.data.bags.bag_messages import (
    BagMessage,
    Bags,
    ends_with,
    first_topics,
    opened,
)
from chunk_ppo_ros.data.bags.image_forms import form_of
from chunk_ppo_ros.data.bags.sensor_log import SensorLog, check_clocks
from chunk_ppo_ros.data.bags.storage.bag_folder import METADATA, find_bags
from chunk_ppo_ros.data.bags.storage.errors import text_of
from chunk_ppo_ros.data.bags.teleop_camera import ReadTopic, to_camera
from chunk_ppo_ros.data.bags.teleop_facts import facts_of, said_of_cameras, said_of_topics
from chunk_ppo_ros.data.bags.teleop_topics import ARMS, PARTS, TeleopTopics, choose_topics, missing_arms_error
from chunk_ppo_ros.data.bags.track import MissingStates, Track
from chunk_ppo_ros.data.episode import Episode, LeftOut
from chunk_ppo_ros.data.left_out import is_left_out
from chunk_ppo_ros.data.topic_names import ACTION_CHUNK, JOINT_GROUP_COMMANDS, LEADER_STATES
from chunk_ppo_ros.robot import aloha, grippers

_PROMPT, _SUCCESS = "prompt", "success"
_FAR = 0.2
"""How far two joint states with one stamp may differ, rad or of the gripper's opening, where one node publishes."""


class TeleopBagReader:
    """Reads demonstrations, each of which is a bag, as an `EpisodeReader`."""

    description = f"recordings of `ros2 bag` ({METADATA}, or folders that have it or .mcap or .db3 files)"

    def recognizes(self, path: pathlib.Path) -> bool:
        """Returns whether the first bag with a known topic has joint states of leader arms and no chunks of a policy.

        A bag with commands to the arms in place of leader arms is recognized too. Reading it says what is missing.
        """
        driven = (*LEADER_STATES.values(), *JOINT_GROUP_COMMANDS.values())
        topics = first_topics(find_bags(path), (*driven, ACTION_CHUNK))
        chunks = any(ends_with(topic, ACTION_CHUNK) for topic in topics)
        return not chunks and any(ends_with(topic, name) for topic in topics for name in driven)

    def read(self, path: pathlib.Path, config: TrainConfig) -> Iterator[Episode | LeftOut]:
        """Yields one episode for each bag, as `read_teleop` returns it, or that it is left out."""
        for bag in find_bags(path):
            if is_left_out(str(bag), config.recordings.leave_out_episodes):
                yield LeftOut(str(bag), "it is named by --leave_out_episodes")
                continue
            try:
                yield read_teleop(bag, config)
            except MissingStates as error:
                yield LeftOut(str(bag), str(error))


def read_teleop(bag: pathlib.Path, config: TrainConfig) -> Episode:
    """Returns the episode of a bag.

    Args:
        bag: the folder of the bag.
        config: the settings, of which `robot` (control rate, grippers, image topics), `env.sync_tolerance`, the number
            of the model's dimensions and `run.prompt` are read. `run.prompt` replaces the bag's own prompt where it is
            not empty.

    Raises:
        MissingStates: where joint states are missing for a time.
        EpisodesError: where the bag cannot be read, lacks an arm, or has no time in which all sensors were recorded.
    """
    with opened([bag]) as reader:
        topics = choose_topics(reader, config, bag)
        read = _read(reader, topics, config, bag)
        custom, cut_off = reader.custom_data(0), reader.cut_off_files()
    logs = {topic: SensorLog.of(topic, each.times, bag) for topic, each in read.items()}
    clock_said = check_clocks(list(logs.values()), bag)
    times = _step_times(
        [logs[topic] for topic in topics.arms], [logs[topic] for topic in read if topic in topics.cameras], config, bag
    )
    tracks = {topics.arms[topic]: _track(read[topic], logs[topic], bag) for topic in topics.arms}
    states, actions = (_sides(tracks, part, topics.sides, times, bag) for part in PARTS)
    cameras = {
        camera: to_camera(read[topic], logs[topic], times, config, bag)
        for topic, camera in topics.cameras.items()
        if topic in read
    }
    said = [*clock_said, *cut_off, *said_of_topics(read, logs), *said_of_cameras(cameras)]
    return Episode(
        source=str(bag),
        states=states,
        actions=actions,
        rate=config.robot.control_rate,
        prompt=config.run.prompt or _prompt(custom, bag),
        success=_success(custom, bag),
        cameras={name: camera.read for name, camera in cameras.items()},
        times=times * 1e-9,
        facts=facts_of(said, logs, topics, config),
    )


def _sides(
    tracks: dict[tuple[str, str], Track], part: str, sides: tuple[str, ...], times: np.ndarray, bag: pathlib.Path
) -> np.ndarray:
    """Returns where the followers or the leaders of all sides were at times [T], ns, float32 [T, 7 or 14]."""
    found = [tracks[part, side].at(times * 1e-9, f"the {part} {side} arm in {bag}") for side in sides]
    with np.errstate(over="ignore"):  # Episodes refuse what is not finite.
        return np.concatenate(found, axis=1, dtype=np.float32)


def _track(read: ReadTopic, log: SensorLog, bag: pathlib.Path) -> Track:
    """Returns the track of an arm. Of messages with one stamp the first counts.

    Raises:
        EpisodesError: where two messages with one stamp are far apart.
    """
    order = np.argsort(log.stamps, kind="stable")
    stamps, states = log.stamps[order], np.array(read.states)[order]
    again = np.flatnonzero(np.diff(stamps) == 0) + 1
    if again.size and np.max(np.abs(states[again] - states[again - 1])) > _FAR:
        raise EpisodesError(
            f"joint states with one stamp must be the same, got two that are far apart on {log.topic} in {bag}; let "
            "one node publish them"
        )
    kept = np.setdiff1d(np.arange(len(stamps)), again)
    return Track(stamps[kept] * 1e-9, states[kept])


def _prompt(custom: dict[str, Any], bag: pathlib.Path) -> str:
    """Returns the prompt of the custom data; blanks count as none."""
    prompt = custom.get(_PROMPT, "")
    if not isinstance(prompt, str):
        raise EpisodesError(f"custom data {_PROMPT} must be text, got {prompt!r} in {bag / METADATA}; set --prompt")
    return prompt.strip()


def _success(custom: dict[str, Any], bag: pathlib.Path) -> bool | None:
    stored = custom.get(_SUCCESS, "")
    if stored not in ("", "true", "false"):
        raise EpisodesError(
            f"custom data {_SUCCESS} must be true or false, got {stored!r} in {bag / METADATA}; correct it"
        )
    return stored == "true" if stored else None


def _step_times(joints: list[SensorLog], images: list[SensorLog], config: TrainConfig, bag: pathlib.Path) -> np.ndarray:
    """Returns the times of the control steps, int64 [T], ns.

    They begin when all sensors had sent something, and end when the first of them ended.
    """
    first = max(int(np.min(log.stamps)) for log in (*joints, *images))
    late = round(config.env.sync_tolerance * NANOSECONDS)  # A camera's last image may be used for so long.
    last = min([*(int(np.max(log.stamps)) for log in joints), *(int(np.max(log.stamps)) + late for log in images)])
    period = NANOSECONDS / config.robot.control_rate
    if last < first:
        raise EpisodesError(
            f"joint states and images must be recorded at the same time, got none before the others ended in {bag}; "
            "check the clocks of the machines"
        )
    return first + np.round(np.arange(int((last - first) / period) + 1) * period).astype(np.int64)


def _read(reader: Bags, topics: TeleopTopics, config: TrainConfig, bag: pathlib.Path) -> dict[str, ReadTopic]:
    """Returns what is kept of the messages of each topic that has some: joint states, and where each image is.

    Raises:
        EpisodesError: where an arm has sent nothing, or its joint states lack a joint.
    """
    convention = grippers.convention_of(config.robot)
    read: dict[str, ReadTopic] = {}
    for stored in reader.messages({*topics.arms, *topics.cameras}):
        topic = read.setdefault(stored.topic, ReadTopic(stored.channel))
        topic.times.append((stored.stamp(), stored.received))
        message = stored.decode()
        if stored.topic in topics.arms:
            topic.states.append(_state(message, stored, topics.arms[stored.topic][0], convention))
        else:
            topic.places.append(stored.place)
            form = form_of(message)
            topic.forms[form] = topic.forms.get(form, 0) + 1
    heard = {topics.arms[topic] for topic in read if topic in topics.arms}
    silent = [name for name, arm in ARMS.items() if arm not in heard and arm[1] in topics.sides]
    if silent:
        raise missing_arms_error(silent, {channel.topic for channel in reader.channels}, bag)
    return read


def _state(message: Any, stored: BagMessage, part: str, convention: grippers.GripperConvention) -> np.ndarray:
    state_of = aloha.side_state if part == "follower" else aloha.leader_state
    try:
        return state_of(message.name, message.position, convention)
    except ValueError as error:
        raise EpisodesError(f"{text_of(error)}; got it on {stored.topic} in {stored.file}") from error
