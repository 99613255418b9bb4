"""Says what a demonstration in a bag holds, what was assumed to read it, and what is not used."""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.data.bags.sensor_log import SensorLog
from chunk_ppo_ros.data.bags.teleop_camera import ReadTopic, RecordedCamera
from chunk_ppo_ros.data.bags.teleop_topics import TeleopTopics
from chunk_ppo_ros.data.episode import RecordingFacts
from chunk_ppo_ros.robot import aloha


def said_of_topics(read: dict[str, ReadTopic], logs: dict[str, SensorLog]) -> list[str]:
    """Returns sentences about the rates of all topics, and about messages that came twice."""
    said = ["joint states name their joints, in rad"]
    for topic, log in sorted(logs.items()):
        again = len(log.stamps) - len(np.unique(log.stamps))
        forms = "".join(f", {form}" for form in read[topic].forms)
        said.append(f"{topic} has {len(log.stamps)} messages at {log.rate:.3g} Hz{forms}")
        if again:
            verb = "has" if again == 1 else "have"
            text = f"{count_of(again, 'message')} of {topic} {verb} the stamp of another one"
            said.append(f"{text}, of which the first counts")
    return said


def said_of_cameras(cameras: dict[str, RecordedCamera]) -> list[str]:
    """Returns a sentence for each camera that paused, or whose images cannot be used."""
    said = [camera.problem for camera in cameras.values() if camera.problem]
    for name, camera in cameras.items():
        age, step = camera.worst()
        if age > camera.max_age:
            said.append(f"{name} paused: its newest image is {age:.3g} s old at step {step}")
    return said


def facts_of(said: list[str], logs: dict[str, SensorLog], topics: TeleopTopics, config: TrainConfig) -> RecordingFacts:
    """Returns what is known about a demonstration: what it says, what was assumed, and what is not used."""
    first = 0 if topics.sides[0] == aloha.SIDES[0] else aloha.SIDE_DIM
    names = tuple(aloha.joint_name(first + index) for index in range(aloha.SIDE_DIM * len(topics.sides)))
    unstamped = sorted(topic for topic, log in logs.items() if not log.has_stamps)
    assumed = [
        f"control steps follow each other at {config.robot.control_rate:g} Hz (robot.control_rate)",
        "the action of a step is where the leaders were then",
        "grippers are those of robot.gripper_convention",
        *(f"the headers of {topic} have no stamps, so the times of recording count" for topic in unstamped),
    ]
    return RecordingFacts("ros2 bag of a teleoperated robot", names, names, tuple(said), tuple(assumed), topics.unused)
