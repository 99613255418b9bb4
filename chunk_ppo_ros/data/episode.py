"""Defines a recorded episode of any format, and cuts it into chunks, with numpy alone. `readers.py` reads episodes."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.robot import aloha

ReadImage = Callable[[int], np.ndarray]
"""The type of a function that returns the RGB image uint8 [h, w, 3] of a step."""

ReadEndImage = Callable[[], np.ndarray]
"""The type of a function that returns the RGB image uint8 [h, w, 3] from after an episode."""


@dataclasses.dataclass(frozen=True)
class RecordingFacts:
    """Says what a recording holds, what was assumed to read it, and what is not used.

    Attributes:
        format: the format with its recorder or version, for example "LeRobot 3.0".
        state_names: the names of the state's dimensions as recorded; empty where the recording has none.
        action_names: the names of the action's dimensions as recorded; empty where the recording has none.
        said: sentences about what the recording says itself, for example "meta/info.json says 50 Hz".
        assumed: sentences about what was assumed because the recording does not say it.
        unused: what the recording holds and nobody reads, each with its name, its shape, and what it is.
    """

    format: str = ""
    state_names: tuple[str, ...] = ()
    action_names: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """An episode that a reader found and did not use.

    Attributes:
        source: its name, as `Episode.source`.
        reason: why it was left out.
    """

    source: str
    reason: str

    def __str__(self) -> str:
        return f"{self.source} is left out: {self.reason}"


@dataclasses.dataclass(frozen=True)
class Episode:
    """Holds T control steps of a robot.

    Attributes:
        source: the file or folder, with the number of the episode where there are several, for error texts.
        states: float32 [T, S], the states measured at the start of each step, as recorded. Joints are in rad, grippers
            normalized (0 closed, 1 open).
        actions: float32 [T, D], the absolute joint targets of each step in the same units.
        rate: the number of control steps per second, Hz.
        prompt: the task in words; empty where the recording does not say it.
        success: whether the task was solved; None where the recording does not say it.
        cameras: the function that reads a step's image, for each camera by name. Images are read only when it is
            called.
        image_steps: int [n], the steps that have images, rising; None where all steps have them.
        end_images: the function that reads the image from after the last step, for each camera by name. It is empty
            where the cameras were recorded, but not right after this episode. It is None where the recording is no run
            with its cameras; a demonstration ends when its task is done.
        times: float64 [T], the recorded times of the steps, s; None where the recording has none.
        rewards: float32 [T], the reward of each step; None where the recording has none. The reward of a chunk is that
            of its last executed step.
        facts: what the recording says, what was assumed, and what is not used.
    """

    source: str
    states: np.ndarray
    actions: np.ndarray
    rate: float
    prompt: str = ""
    success: bool | None = None
    cameras: Mapping[str, ReadImage] = dataclasses.field(default_factory=dict)
    image_steps: np.ndarray | None = None
    end_images: Mapping[str, ReadEndImage] | None = None
    times: np.ndarray | None = None
    rewards: np.ndarray | None = None
    facts: RecordingFacts = RecordingFacts()

    def __post_init__(self) -> None:
        """Refuses episodes whose arrays do not fit each other, are empty or are not finite.

        Raises:
            EpisodesError: for such an episode.
        """
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
    """Returns the names of the model's cameras in episodes: `pretrain.episode_cameras`, or the robot's names."""
    return config.pretrain.episode_cameras or tuple(aloha.ROBOT_CAMERAS[key] for key in config.model.cameras)


def to_chunks(episode: Episode, horizon: int, *, stride: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Returns the chunks of H steps that begin at every `stride`-th step, including those at the end.

    Args:
        episode: an episode of T steps.
        horizon: the number H of control steps in a chunk, > 0.
        stride: the number of steps from the start of one chunk to that of the next, > 0.

    Returns:
        The states at the starts, float32 [N, S], and the actions, float32 [N, H, D], with N = ceil(T / stride).

    Raises:
        ValueError: where the horizon or the stride is below 1.
    """
    if horizon < 1 or stride < 1:
        raise ValueError(f"horizon and stride must be at least 1, got {horizon} and {stride}")
    return chunks_at(episode, np.arange(0, len(episode), stride), horizon)


def chunks_at(episode: Episode, starts: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the chunks that begin at given steps, as states float32 [N, S] and actions float32 [N, H, D].

    Beyond the end of the episode a chunk repeats the last action. LeRobot's loader does the same, and openpi's training
    uses that loader.
    """
    steps = np.minimum(starts[:, None] + np.arange(horizon), len(episode) - 1)
    return episode.states[starts], episode.actions[steps]


def seen_starts(episode: Episode, *, stride: int) -> np.ndarray:
    """Returns steps with images, int [N], each at least `stride` after the one before, from the first such step on."""
    if episode.image_steps is None:
        return np.arange(0, len(episode), stride)
    starts: list[int] = []
    for step in episode.image_steps:
        if not starts or step >= starts[-1] + stride:
            starts.append(int(step))
    return np.array(starts, np.int64)


def rewards_of_steps(rewards: Sequence[float | None], ends: Sequence[int]) -> np.ndarray | None:
    """Returns the rewards of steps, float32 [T], where each chunk is rewarded at its last step.

    Args:
        rewards: the rewards of the chunks; where one of them is None, the result is None.
        ends: the numbers of steps up to the end of each chunk; the last one is T.
    """
    if None in rewards:
        return None
    values = np.zeros(ends[-1], np.float32)
    values[np.asarray(ends) - 1] = rewards
    return values


def at_rate(episode: Episode, rate: float) -> Episode:
    """Returns the episode in control steps of another rate, Hz, or the episode itself where it has that rate.

    Step i is at the time i / rate. States and actions are interpolated linearly at that time. The image of a step is
    the newest one, as a policy would have it. Rewards are left out.

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
        times=None,
        rewards=None,
        cameras={name: functools.partial(_read_other, read, newest) for name, read in episode.cameras.items()},
    )


def _interpolate(at: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns float32 [n, D], the values [T, D] interpolated at fractional steps [n]."""
    return np.stack([np.interp(at, np.arange(len(values)), column) for column in values.T], axis=1).astype(np.float32)


def _read_other(read: ReadImage, recorded: np.ndarray, step: int) -> np.ndarray:
    return read(int(recorded[step]))
