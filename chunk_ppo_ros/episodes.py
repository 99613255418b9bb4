"""Reads recorded episodes, of whatever format is recognised in a file or folder; see docs/data.md."""

from __future__ import annotations

import pathlib
import re

from chunk_ppo_ros import episodes_bag, episodes_hdf5, episodes_lerobot
from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.episode import Episode
from chunk_ppo_ros.errors import EpisodesError
from chunk_ppo_ros.robot import aloha

FORMATS = (
    f"ALOHA files (*{', *'.join(episodes_hdf5.SUFFIXES)}), a recording of recorder_node ({episodes_bag.METADATA}, or "
    f"parts that have it) or a LeRobot dataset ({episodes_lerobot.INFO})"
)


def read_episodes(path: pathlib.Path, robot: RobotConfig, *, prompt: str = "") -> list[Episode]:
    """All episodes of a file or folder.

    Args:
        path: an HDF5 file or a folder of them, a rosbag2 folder or a folder of its parts, or a LeRobot dataset.
        robot: gripper convention and control rate of recordings that hold neither.
        prompt: the task in words; replaces what the recording says, where not empty.

    Raises:
        EpisodesError: where there is nothing, nothing known, or something damaged; the text names what was found.
    """
    if not path.exists():
        raise EpisodesError(f"episodes must be a file or folder, got {path}, which does not exist; check the path")
    if path.is_file():
        if path.suffix not in episodes_hdf5.SUFFIXES:
            raise EpisodesError(f"episodes must be {FORMATS}, got the file {path}; convert it")
        return [episodes_hdf5.read_hdf5(path, prompt=prompt)]
    if (path / episodes_lerobot.INFO).is_file():
        return episodes_lerobot.read_lerobot(path, prompt=prompt)
    if episodes_bag.find_bags(path):
        convention = aloha.GRIPPER_CONVENTIONS[robot.gripper_convention]
        return episodes_bag.read_bag(path, convention=convention, rate=robot.control_rate, prompt=prompt)
    files = [file for file in path.iterdir() if file.suffix in episodes_hdf5.SUFFIXES]
    if not files:
        found = ", ".join(sorted(each.name for each in path.iterdir())[:10]) or "nothing"
        raise EpisodesError(f"episodes must be {FORMATS}, got a folder with {found} in {path}; convert them")
    return [episodes_hdf5.read_hdf5(file, prompt=prompt) for file in sorted(files, key=_by_number)]


def _by_number(file: pathlib.Path) -> list[tuple[int, str]]:
    """Sorts episode_2 before episode_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", file.stem)]
