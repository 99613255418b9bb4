"""Checks the time stamps of an episode against its rate."""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.lerobot.row_index import EpisodeRows

_MAX_RATE_ERROR = 0.1
"""The largest relative difference between the rate that time stamps show and the declared one."""
_FEWEST_STEPS = 5
"""The number of steps from which the rate is compared."""
_ADVICE = (
    "leave the episode out (--leave_out_episodes), or take timestamp out of the features in meta/info.json if it means "
    "nothing"
)
_MAX_STEPS, _MAX_PAUSE = 3.0, 0.1
"""A jump is longer than so many steps, and longer than a step by so many s."""


def step_times(stamps: np.ndarray, rate: float, rows: EpisodeRows, source: str) -> np.ndarray | None:
    """Returns the recorded times of the steps, float64 [T], or None where stamps are too coarse to tell steps apart.

    Args:
        stamps: float64 [T], the time stamps, s.
        rate: the declared rate, Hz.
        rows: the rows of the episode, for error texts.
        source: the name of the episode, for error texts.

    Raises:
        EpisodesError: where stamps are missing, do not rise, jump, or show another rate.
    """
    missing = np.flatnonzero(~np.isfinite(stamps))
    if missing.size:
        raise EpisodesError(
            f"timestamp must be a time in s, got {stamps[missing[0]]:g} in {rows.where(int(missing[0]))}; {_ADVICE}"
        )
    coarse = np.spacing(np.float32(np.abs(stamps).max())) > 0.1 / rate  # float32 seconds since 1970 are 128 s apart
    if coarse and np.all(stamps == stamps.astype(np.float32)):
        return None
    steps = np.diff(stamps)
    limit = max(_MAX_STEPS / rate, 1.0 / rate + _MAX_PAUSE)
    wrong = np.flatnonzero((steps <= 0.0) | (steps > limit))
    typical = float(np.median(steps)) if steps.size else 1.0 / rate
    if len(stamps) >= _FEWEST_STEPS and typical > 0.0 and abs(typical * rate - 1.0) > _MAX_RATE_ERROR:
        raise EpisodesError(
            f"time stamps must show the declared rate, got {1 / typical:.4g} Hz and fps {rate:g} in {source}; "
            f"correct fps in meta/info.json, {_ADVICE}"
        )
    if wrong.size:
        step = int(wrong[0]) + 1
        raise EpisodesError(
            f"time stamps must rise by {1 / rate:.3g} s a step, got {steps[step - 1]:.4g} s before step {step} of "
            f"{source} ({rows.where(step)}); {_ADVICE}"
        )
    return stamps
