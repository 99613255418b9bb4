"""Measures by how much states follow actions, by the correlation of their velocities over all episodes."""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.robot import aloha

EARLIEST, LATEST = -0.3, 1.5
"""The lags between which the best one is sought, s."""

WINDOW = 0.06
"""The time over which velocities are taken, s. Shorter ones are mostly noise of the encoders."""

MIN_SPEED = 0.02
"""The standard deviation of the velocity, rad/s, above which a joint counts as moving."""

MIN_CORRELATION = 0.5
"""The correlation from which on a state is taken to follow an action."""


@dataclasses.dataclass(frozen=True)
class Lag:
    """How a dimension of the state follows one of the action.

    Attributes:
        seconds: the lag with the best correlation, s; NaN where neither moves.
        correlation: that correlation; NaN where neither moves.
        lowest: the lowest correlation at any lag, which is near -1 where one is the inverse of the other.
    """

    seconds: float
    correlation: float
    lowest: float

    @property
    def is_known(self) -> bool:
        """Whether the state follows the action clearly."""
        return bool(self.correlation >= MIN_CORRELATION)


class LagSums:
    """Sums products of velocities of states and actions of D dimensions at one control rate, for each lag.

    Args:
        dim: the number D of dimensions of states and actions.
        rate: the control rate, Hz.
    """

    def __init__(self, dim: int, rate: float) -> None:
        self.rate = rate
        self.steps = np.arange(round(EARLIEST * rate), round(LATEST * rate) + 1)
        self._own = np.zeros((3, len(self.steps), dim))
        self._swapped = np.zeros((3, len(self.steps), dim))
        self._count = np.zeros(len(self.steps))
        self._window = max(1, round(WINDOW * rate))

    def add(self, episode: Episode) -> None:
        """Adds an episode. Only lags up to half of its length count."""
        if len(episode) <= 2 * self._window:
            return
        states, actions = self._velocities(episode.states), self._velocities(episode.actions)
        is_two_arms = states.shape[1] == aloha.ACTION_DIM
        swapped = np.roll(actions, aloha.SIDE_DIM, axis=1)
        for row, lag in enumerate(self.steps):
            if abs(lag) * 2 <= len(states):
                later, earlier = _shifted(states, actions, int(lag))
                self._own[:, row] += _products(later, earlier)
                self._count[row] += len(later)
                if is_two_arms:
                    self._swapped[:, row] += _products(*_shifted(states, swapped, int(lag)))

    def lags(self) -> list[Lag]:
        """Returns the lag of each dimension of the state behind the same dimension of the action."""
        return [self._best(self._own[:, :, dim]) for dim in range(self._own.shape[2])]

    def swapped_lags(self) -> list[Lag]:
        """Returns the lag of each dimension of the state behind the same dimension of the other arm's action."""
        return [self._best(self._swapped[:, :, dim]) for dim in range(self._swapped.shape[2])]

    def _velocities(self, values: np.ndarray) -> np.ndarray:
        moved = np.asarray(values[self._window :] - values[: -self._window], np.float64)
        return (moved - moved.mean(axis=0)) * (self.rate / self._window)

    def _best(self, sums: np.ndarray) -> Lag:
        count = np.maximum(self._count, 1)
        moving = (sums[1] / count > MIN_SPEED**2) & (sums[2] / count > MIN_SPEED**2)
        if not moving.any():
            return Lag(np.nan, np.nan, np.nan)
        correlation = np.where(moving, sums[0] / np.sqrt(np.maximum(sums[1] * sums[2], 1e-30)), np.nan)
        best = int(np.nanargmax(correlation))
        return Lag(float(self.steps[best] / self.rate), float(correlation[best]), float(np.nanmin(correlation)))


def _shifted(states: np.ndarray, actions: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the states `lag` steps after the actions, and these actions."""
    if lag >= 0:
        return states[lag:], actions[: len(actions) - lag]
    return states[:lag], actions[-lag:]


def _products(states: np.ndarray, actions: np.ndarray) -> np.ndarray:
    return np.stack([(states * actions).sum(axis=0), (states**2).sum(axis=0), (actions**2).sum(axis=0)])
