"""Reads whether an episode was a success, from its rows or from the table of episodes."""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.core.errors import EpisodesError

ROW_SUCCESS = "next.success"
"""The column of rows that says at which step the task was solved."""
SUCCESS_COLUMNS = ("success", "is_success", "episode_success", "is_episode_successful", "next.success")
"""The names under which the table of episodes says whether the task was solved."""
_TEXTS = {"true": True, "success": True, "successful": True, "false": False, "failure": False, "failed": False}


def success_of_value(value: object, where: str) -> bool | None:
    """Returns whether a value of the table of episodes means a success; None where it says nothing.

    Args:
        value: a bool, 0 or 1, "success" or "failure", a list of one of these, or None.
        where: its place, for error texts.

    Raises:
        EpisodesError: where the value is something else.
    """
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None or value == "" or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, str) and value.strip().lower() in _TEXTS:
        return _TEXTS[value.strip().lower()]
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    raise EpisodesError(f"success must be true, false or empty, got {value!r:.80} for {where}; correct it")


def success_of_rows(values: np.ndarray, source: str) -> bool | None:
    """Returns whether a step of an episode is a success; None where no step says anything.

    Args:
        values: float64 [T], 1 or 0 at each step, and NaN where nothing is said.
        source: the name of the episode, for error texts.

    Raises:
        EpisodesError: where a value is neither 0 nor 1.
    """
    told = values[~np.isnan(values)]
    other = told[(told != 0.0) & (told != 1.0)]
    if other.size:
        raise EpisodesError(f"{ROW_SUCCESS} must be true, false or empty, got {other[0]:g} in {source}; correct it")
    return bool(told.any()) if told.size else None


def agreed_success(of_rows: bool | None, of_table: bool | None, source: str) -> bool | None:
    """Returns what the rows and the table of episodes say together.

    Raises:
        EpisodesError: where they contradict each other.
    """
    if of_rows is not None and of_table is not None and of_rows != of_table:
        raise EpisodesError(
            f"an episode must be a success or not, got {of_rows} from {ROW_SUCCESS} and {of_table} from the table of "
            f"episodes for {source}; correct one of them"
        )
    return of_rows if of_table is None else of_table
