"""Follows an arm over time: where it was between its recorded joint states, and where those are missing."""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.core.errors import EpisodesError

_MAX_GAP = 0.1  # s, the largest time from a control step to the nearest joint states


class MissingStates(EpisodesError):
    """No joint states were recorded near a control step. The episode cannot be used, and others can."""


@dataclasses.dataclass(frozen=True)
class Track:
    """Holds where an arm was: its states [n, 7], rad and normalized gripper, at rising times [n], s."""

    times: np.ndarray
    states: np.ndarray

    @classmethod
    def of(cls, readings: list[tuple[float, np.ndarray]]) -> Track:
        """Returns the track of pairs of a time and a state, given in any order."""
        ordered = sorted(readings, key=lambda each: each[0])
        return cls(np.array([time for time, _ in ordered]), np.array([state for _, state in ordered]))

    def at(self, times: np.ndarray, what: str) -> np.ndarray:
        """Returns the states at given times, interpolated linearly.

        Args:
            times: float [k], the times, s.
            what: the arm and its recording, for the error text.

        Returns:
            The states, float [k, 7].

        Raises:
            MissingStates: where no recorded state is near one of the times.
        """
        known = np.concatenate([[-np.inf], self.times, [np.inf]])
        after = np.searchsorted(known, times)
        gap = np.max(np.minimum(times - known[after - 1], known[after] - times))
        if gap > _MAX_GAP:
            raise MissingStates(
                f"joint states must be recorded within {_MAX_GAP} s of each step, got {gap:.3g} s for {what}; leave "
                "out the recording that lacks them"
            )
        return np.stack([np.interp(times, self.times, column) for column in self.states.T], axis=1)
