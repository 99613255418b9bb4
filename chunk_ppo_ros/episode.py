"""One recorded episode, whatever it was recorded with, and its chunks; numpy only. `episodes.py` reads them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from chunk_ppo_ros.errors import EpisodesError


@dataclasses.dataclass(frozen=True)
class Episode:
    """T control steps of a robot.

    Attributes:
        source: file or folder, and number of the episode where there are several; for messages.
        states: float32 [T, S], measured at the start of each step: joints in rad, grippers normalised (0 closed, 1
            open), as recorded.
        actions: float32 [T, D], the absolute joint targets of each step in the same units.
        rate: control steps per second, Hz.
        prompt: the task in words; empty where the recording does not say.
        cameras: by name, what reads a step's image, 0..T-1, as uint8 [h, w, 3] RGB; nothing is read before
            that.
    """

    source: str
    states: np.ndarray
    actions: np.ndarray
    rate: float
    prompt: str = ""
    cameras: Mapping[str, Callable[[int], np.ndarray]] = dataclasses.field(default_factory=dict)

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


def to_chunks(episode: Episode, horizon: int, *, stride: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The chunks of H steps that begin at every `stride`-th step, those at the end as well.

    Beyond the end of the episode a chunk repeats the last action, as LeRobot's loader and with it openpi's training do.

    Args:
        episode: of T steps.
        horizon: H, control steps, > 0.
        stride: steps from the start of one chunk to that of the next, > 0.

    Returns:
        States at the starts, float32 [N, S], and actions, float32 [N, H, D], with N = ceil(T / stride).
    """
    if horizon < 1 or stride < 1:
        raise ValueError(f"horizon and stride must be at least 1, got {horizon} and {stride}")
    starts = np.arange(0, len(episode), stride)
    steps = np.minimum(starts[:, None] + np.arange(horizon), len(episode) - 1)
    return episode.states[starts], episode.actions[steps]
