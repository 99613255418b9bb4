"""One recorded episode, whatever it was recorded with, and its chunks; numpy only. `readers.py` reads them."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.robot import aloha

ReadImage = Callable[[int], np.ndarray]
"""Reads the image of a step as uint8 [h, w, 3] RGB."""


@dataclasses.dataclass(frozen=True)
class Episode:
    """T control steps of a robot.

    Attributes:
        source: file or folder, and number of the episode where there are several; for messages.
        states: float32 [T, S], measured at the start of each step: joints in rad, grippers normalized (0 closed, 1
            open), as recorded.
        actions: float32 [T, D], the absolute joint targets of each step in the same units.
        rate: control steps per second, Hz.
        prompt: the task in words; empty where the recording does not say.
        success: whether the task was solved; None where the recording does not say.
        cameras: by name, what reads a step's image; nothing is read before that.
        image_steps: int [n], the steps that have images, rising; None where all have.
    """

    source: str
    states: np.ndarray
    actions: np.ndarray
    rate: float
    prompt: str = ""
    success: bool | None = None
    cameras: Mapping[str, ReadImage] = dataclasses.field(default_factory=dict)
    image_steps: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Refuses episodes whose arrays do not fit each other or are not finite."""
        if self.states.ndim != 2 or self.actions.ndim != 2 or len(self.states) != len(self.actions):
            raise EpisodesError(
                f"states and actions of an episode must be [T, S] and [T, D], got {self.states.shape} and "
                f"{self.actions.shape} in {self.source}"
            )
        if not len(self):
            raise EpisodesError(f"an episode must have at least one step, got none in {self.source}; leave it out")
        for name, values in (("states", self.states), ("actions", self.actions)):
            bad = np.flatnonzero(~np.all(np.isfinite(values), axis=1))
            if bad.size:
                raise EpisodesError(
                    f"{name} must be finite, got NaN or infinity in step {bad[0]} of {self.source}; leave it out"
                )

    def __len__(self) -> int:
        return len(self.states)


def camera_names(config: TrainConfig) -> tuple[str, ...]:
    """Returns what the model's cameras are called in episodes: `pretrain.episode_cameras`, or the robot's names."""
    return config.pretrain.episode_cameras or tuple(aloha.ROBOT_CAMERAS.get(key, key) for key in config.model.cameras)


def to_chunks(episode: Episode, horizon: int, *, stride: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Returns the chunks of H steps that begin at every `stride`-th step, those at the end as well.

    Args:
        episode: of T steps.
        horizon: H, control steps, > 0.
        stride: steps from the start of one chunk to that of the next, > 0.

    Returns:
        States at the starts, float32 [N, S], and actions, float32 [N, H, D], with N = ceil(T / stride).
    """
    if horizon < 1 or stride < 1:
        raise ValueError(f"horizon and stride must be at least 1, got {horizon} and {stride}")
    return chunks_at(episode, np.arange(0, len(episode), stride), horizon)


def chunks_at(episode: Episode, starts: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the chunks that begin at given steps: states float32 [N, S] and actions float32 [N, H, D].

    Beyond the end of the episode a chunk repeats the last action, as LeRobot's loader and with it openpi's training do.
    """
    steps = np.minimum(starts[:, None] + np.arange(horizon), len(episode) - 1)
    return episode.states[starts], episode.actions[steps]


def seen_starts(episode: Episode, *, stride: int) -> np.ndarray:
    """int [N]: steps that have images, each at least `stride` after the one before; the first is the first of them."""
    if episode.image_steps is None:
        return np.arange(0, len(episode), stride)
    starts: list[int] = []
    for step in episode.image_steps:
        if not starts or step >= starts[-1] + stride:
            starts.append(int(step))
    return np.array(starts, np.int64)


def at_rate(episode: Episode, rate: float) -> Episode:
    """Returns the episode in control steps of another rate, Hz; itself where it has that rate.

    Step i is at the time i / rate: states and actions are interpolated linearly there, and its image is the newest one,
    as a policy would have it.

    Raises:
        EpisodesError: where the rate differs and only some steps have images.
    """
    if math.isclose(episode.rate, rate, rel_tol=1e-3):
        return episode
    if episode.image_steps is not None:
        raise EpisodesError(
            f"an episode with images at some steps must be of {rate} Hz, got {episode.rate} Hz in {episode.source}; "
            "set --control_rate"
        )
    ratio = episode.rate / rate
    at = np.arange(math.floor((len(episode) - 1) / ratio + 1e-6) + 1) * ratio  # in steps of the recording
    newest = np.minimum(np.floor(at + 1e-6).astype(int), len(episode) - 1)
    return dataclasses.replace(
        episode,
        states=_interpolate(at, episode.states),
        actions=_interpolate(at, episode.actions),
        rate=rate,
        cameras={name: functools.partial(_read_other, read, newest) for name, read in episode.cameras.items()},
    )


def _interpolate(at: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns float32 [n, D] of values [T, D] at fractional steps [n]."""
    return np.stack([np.interp(at, np.arange(len(values)), column) for column in values.T], axis=1).astype(np.float32)


def _read_other(read: ReadImage, recorded: np.ndarray, step: int) -> np.ndarray:
    return read(int(recorded[step]))
