"""Collects what is known of recorded episodes in one pass. What is kept grows with the number of episodes alone."""

from __future__ import annotations

import dataclasses
import pathlib
import zlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError, UnansweredQuestion
from chunk_ppo_ros.data.aloha_hdf5 import files
from chunk_ppo_ros.data.aloha_hdf5.reader import AlohaFolderReader
from chunk_ppo_ros.data.checks.dimensions import arm_joints
from chunk_ppo_ros.data.checks.lag import LagSums
from chunk_ppo_ros.data.checks.vector_statistics import VectorStatistics
from chunk_ppo_ros.data.episode import Episode, LeftOut, RecordingFacts
from chunk_ppo_ros.data.readers import find_reader, iterate_episodes

IDLE_MOTION = 0.02
"""The distance from the first or last pose, rad or units of the gripper, up to which the robot counts as idle."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """A file or folder that could not be read, or not to its end.

    Attributes:
        path: the path that was named.
        text: the text of the reader's error.
        is_question: whether a person can settle it by saying how the file is meant.
    """

    path: str
    text: str
    is_question: bool


@dataclasses.dataclass(frozen=True)
class EpisodeSummary:
    """What is kept of an episode.

    Attributes:
        source: its name.
        num_steps: the number T of control steps.
        rate: the control rate, Hz.
        prompt: the task in words.
        success: whether the task was solved; None where it is unknown.
        dims: the numbers of dimensions of states and actions.
        cameras: the names of its cameras.
        facts: what the recording says.
        crc: a checksum of states and actions.
        idle_steps: the numbers of steps at the start and at the end without motion.
        gap: the longest time between two steps, s; 0 where times are unknown.
        gap_step: the step after that time.
        measured_rate: the rate by the recorded times, Hz; 0 where times are unknown.
        is_copied: whether the actions are the states.
        largest: the largest |value| of arm joints in the states and in the actions, as far as these are whole arms.
        jump: the largest change of an arm joint's state between two steps, rad, as far as these are whole arms.
        jump_step: the step after that change.
        jump_joint: the dimension of that joint.
    """

    source: str
    num_steps: int
    rate: float
    prompt: str
    success: bool | None
    dims: tuple[int, int]
    cameras: tuple[str, ...]
    facts: RecordingFacts
    crc: int
    idle_steps: tuple[int, int]
    gap: float
    gap_step: int
    measured_rate: float
    is_copied: bool
    largest: tuple[float, float]
    jump: float
    jump_step: int
    jump_joint: int

    @classmethod
    def of(cls, episode: Episode) -> EpisodeSummary:
        """Returns the summary of an episode."""
        gap, gap_step, measured_rate = _timing(episode.times)
        content = (np.ascontiguousarray(part, np.float32).tobytes() for part in (episode.states, episode.actions))
        jump, jump_step, jump_joint = _largest_jump(episode.states)
        same_shape = episode.states.shape == episode.actions.shape
        return cls(
            source=episode.source,
            num_steps=len(episode),
            rate=episode.rate,
            prompt=episode.prompt,
            success=episode.success,
            dims=(episode.states.shape[1], episode.actions.shape[1]),
            cameras=tuple(episode.cameras),
            facts=episode.facts,
            crc=zlib.crc32(b"".join(content)),
            idle_steps=_idle_steps(episode),
            gap=gap,
            gap_step=gap_step,
            measured_rate=measured_rate,
            is_copied=len(episode) > 1 and same_shape and np.array_equal(episode.states, episode.actions),
            largest=(_largest_joint(episode.states), _largest_joint(episode.actions)),
            jump=jump,
            jump_step=jump_step,
            jump_joint=jump_joint,
        )


@dataclasses.dataclass
class Motion:
    """What is known of all states and actions with the same numbers of dimensions, and the lags by control rate."""

    states: VectorStatistics
    actions: VectorStatistics
    lags: dict[float, LagSums]

    @property
    def dims(self) -> tuple[int, int]:
        """The numbers of dimensions of states and actions."""
        return len(self.states.low), len(self.actions.low)


class Survey:
    """What is known of recordings.

    Attributes:
        episodes: the summaries of the episodes that can be used.
        left_out: the episodes that are left out.
        problems: what could not be read.
        motions: the statistics of states and actions by their numbers of dimensions.
    """

    def __init__(self) -> None:
        self.episodes: list[EpisodeSummary] = []
        self.left_out: list[LeftOut] = []
        self.problems: list[Problem] = []
        self.motions: dict[tuple[int, int], Motion] = {}

    @classmethod
    def of(cls, episodes: Iterable[Episode]) -> Survey:
        """Returns what is known of episodes."""
        survey = cls()
        for episode in episodes:
            survey.add(episode)
        return survey

    def add(self, found: Episode | LeftOut) -> None:
        """Adds an episode, or one that is left out."""
        if isinstance(found, LeftOut):
            self.left_out.append(found)
            return
        summary = EpisodeSummary.of(found)
        self.episodes.append(summary)
        motion = self.motions.setdefault(
            summary.dims, Motion(VectorStatistics(summary.dims[0]), VectorStatistics(summary.dims[1]), {})
        )
        motion.states.add(found.states, found.source)
        motion.actions.add(found.actions, found.source)
        if summary.dims[0] == summary.dims[1]:
            motion.lags.setdefault(found.rate, LagSums(summary.dims[0], found.rate)).add(found)


def read_into(survey: Survey, paths: Sequence[pathlib.Path], config: TrainConfig) -> Iterator[Episode]:
    """Yields the episodes of paths as recorded, adds them to a survey, and goes on where a path cannot be read.

    The files of a folder of HDF5 files are read one by one, so that a damaged one does not hide the others.
    """
    for path in paths:
        try:
            is_folder_of_files = isinstance(find_reader(path), AlohaFolderReader)
        except EpisodesError as error:
            survey.problems.append(Problem(str(path), str(error), is_question=False))
            continue
        for part in files.walk(path) if is_folder_of_files else [path]:
            if is_folder_of_files and part.is_dir():
                survey.add(LeftOut(str(part), "it is a folder of another format; name it by itself"))
            else:
                yield from _read(survey, part, config)


def _read(survey: Survey, path: pathlib.Path, config: TrainConfig) -> Iterator[Episode]:
    try:
        for found in iterate_episodes(path, config):
            survey.add(found)
            if isinstance(found, Episode):
                yield found
    except EpisodesError as error:
        survey.problems.append(Problem(str(path), str(error), isinstance(error, UnansweredQuestion)))


def _timing(times: np.ndarray | None) -> tuple[float, int, float]:
    """Returns the longest time between two steps, the step after it, and the median rate."""
    if times is None or len(times) < 2:
        return 0.0, 0, 0.0
    apart = np.diff(np.asarray(times, np.float64))
    longest, median = int(np.argmax(apart)), float(np.median(apart))
    return float(apart[longest]), longest + 1, 1.0 / median if median > 0 else 0.0


def _largest_jump(states: np.ndarray) -> tuple[float, int, int]:
    """Returns the largest change of an arm joint between two steps, rad, the step after it, and the joint's dimension.

    A joint that counts on from pi at -pi has not moved.
    """
    joints = arm_joints(states.shape[1])
    if not joints.size or len(states) < 2:
        return 0.0, 0, 0
    changes = np.abs(np.diff(states[:, joints].astype(np.float64), axis=0))
    changes = np.minimum(changes, np.abs(2.0 * np.pi - changes))
    step, joint = np.unravel_index(int(np.argmax(changes)), changes.shape)
    return float(changes[step, joint]), int(step) + 1, int(joints[joint])


def _largest_joint(values: np.ndarray) -> float:
    joints = arm_joints(values.shape[1])
    return float(np.abs(values[:, joints]).max()) if joints.size else 0.0


def _idle_steps(episode: Episode) -> tuple[int, int]:
    """Returns the numbers of steps at the start and at the end in which neither state nor action moves."""
    values = np.concatenate([episode.states, episode.actions], axis=1)
    away = np.flatnonzero(np.any(np.abs(values - values[0]) > IDLE_MOTION, axis=1))
    if not away.size:
        return len(episode), 0
    moved = np.flatnonzero(np.any(np.abs(values - values[-1]) > IDLE_MOTION, axis=1))
    return int(away[0]), len(episode) - 1 - int(moved[-1])
