"""Reads recorded episodes, of whatever format is recognised in a file or folder; see docs/data.md."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterable, Sequence

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data import aloha_hdf5, lerobot, rollout_bag, teleop_bag
from chunk_ppo_ros.data.bag_messages import METADATA, ends_with, find_bags, opened
from chunk_ppo_ros.data.episode import Episode, at_rate
from chunk_ppo_ros.robot import aloha

FORMATS = (
    f"ALOHA files (*{', *'.join(aloha_hdf5.SUFFIXES)}), recordings of recorder_node or `ros2 bag` ({METADATA}, or "
    f"folders that have it) or a LeRobot dataset ({lerobot.INFO})"
)


def read_all(paths: Sequence[pathlib.Path], config: TrainConfig) -> list[Episode]:
    """All episodes of files and folders, in control steps of `robot.control_rate`; says where that changes them.

    Raises:
        EpisodesError: as `read_episodes`.
    """
    rate = config.robot.control_rate
    episodes = [episode for path in paths for episode in read_episodes(path, config)]
    others = sorted({episode.rate for episode in episodes} - {rate})
    if others:
        names = ", ".join(f"{each:g}" for each in others)
        print(f"episodes recorded at {names} Hz are resampled to {rate:g} Hz (robot.control_rate)")
    return [at_rate(episode, rate) for episode in episodes]


def read_episodes(path: pathlib.Path, config: TrainConfig) -> list[Episode]:
    """All episodes of a file or folder, as recorded.

    Args:
        path: an HDF5 file or a folder of them, a rosbag2 folder or a folder of such, or a LeRobot dataset.
        config: `run.prompt`, which replaces what the recording says where not empty; of bags, which hold neither,
            `robot` and the names of the policy's cameras.

    Raises:
        EpisodesError: where there is nothing, nothing known, or something damaged; the text names what was found.
    """
    prompt = config.run.prompt
    if not path.exists():
        raise EpisodesError(f"episodes must be a file or folder, got {path}, which does not exist; check the path")
    if path.is_file():
        if path.suffix not in aloha_hdf5.SUFFIXES:
            raise EpisodesError(f"episodes must be {FORMATS}, got the file {path}; convert it")
        return [aloha_hdf5.read_hdf5(path, prompt=prompt)]
    if (path / lerobot.INFO).is_file():
        return lerobot.read_lerobot(path, prompt=prompt)
    if find_bags(path):
        return _read_bags(path, config)
    files = [file for file in path.iterdir() if file.suffix in aloha_hdf5.SUFFIXES]
    if not files:
        found = ", ".join(sorted(each.name for each in path.iterdir())[:10]) or "nothing"
        raise EpisodesError(f"episodes must be {FORMATS}, got a folder with {found} in {path}; convert them")
    return [aloha_hdf5.read_hdf5(file, prompt=prompt) for file in sorted(files, key=_by_number)]


def camera_names(config: TrainConfig) -> tuple[str, ...]:
    """What the model's cameras are called in episodes: `pretrain.episode_cameras`, or the robot's names."""
    return config.pretrain.episode_cameras or tuple(aloha.ROBOT_CAMERAS.get(key, key) for key in config.model.cameras)


def _read_bags(folder: pathlib.Path, config: TrainConfig) -> list[Episode]:
    """A recording of recorder_node, whose bags are parts of one, or demonstrations, each of them a bag."""
    bags = find_bags(folder)
    with opened(bags[:1]) as reader:
        topics = [each.topic for each in reader.connections]
    if _has(topics, teleop_bag.LEADERS) and not _has(topics, [rollout_bag.CHUNKS]):
        return [teleop_bag.read_teleop(bag, config) for bag in bags]
    return rollout_bag.read_bag(
        folder,
        convention=aloha.GRIPPER_CONVENTIONS[config.robot.gripper_convention],
        rate=config.robot.control_rate,
        cameras=camera_names(config),
        prompt=config.run.prompt,
    )


def _has(topics: Iterable[str], names: Iterable[str]) -> bool:
    return any(ends_with(topic, name) for topic in topics for name in names)


def _by_number(file: pathlib.Path) -> list[tuple[int, str]]:
    """Sorts episode_2 before episode_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", file.stem)]
