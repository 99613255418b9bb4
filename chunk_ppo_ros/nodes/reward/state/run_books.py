"""Keeps the counts and times of the run in a small file in its folder, also over restarts of reward_node."""

from __future__ import annotations

import dataclasses
import pathlib

from rclpy.node import Node

from chunk_ppo_ros.core.files.checked_json import read_checked_json, write_checked_json
from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.rewards.bookkeeping.episode_counts import EpisodeCounts, PromptCounts
from chunk_ppo_ros.rewards.bookkeeping.run_times import Activity, RunTimes, Times
from chunk_ppo_ros.rewards.episodes import EpisodeChange

STORE_PERIOD = 5.0
"""The time between two stores of the times, s of the steady clock. So much may be lost when a node is killed."""


class RunBooks:
    """The counts and times of the present run.

    `note` says when they are to be stored. They are also stored every `STORE_PERIOD` seconds, and when the node is
    closed.

    Args:
        node: the node, whose logger is used.
        conditions: the conditions of the node.
        path: the file.
        now: the present time of a steady clock, s.
    """

    def __init__(self, node: Node, conditions: Conditions, path: pathlib.Path, *, now: float) -> None:
        self._logger = node.get_logger()
        self._conditions = conditions
        self._path = path
        self._stored = now
        self._run_id = ""
        self._last_ended = -1  # the newest episode that is counted
        self.counts = EpisodeCounts()
        self.times = RunTimes(now=now)

    def begin_run(self, run_id: str, *, now: float) -> None:
        """Goes on with what the file says of a run, or with nothing where it says nothing of it."""
        if self._run_id:
            self.store(now)
        self._run_id = run_id
        try:
            counts, times, self._last_ended = self._read(run_id)
        except (OSError, TypeError, ValueError, KeyError) as error:
            self._logger.error(f"{self._path} cannot be read, counts and times of the run begin at 0: {error}")
            counts, times, self._last_ended = EpisodeCounts(), Times(), -1
        self.counts, self.times = counts, RunTimes(times, now=now)

    def note(self, change: EpisodeChange) -> bool:
        """Counts a change of an episode, unless it was counted before the node was started anew.

        Returns:
            Whether the counts have changed, so that they are to be stored.
        """
        if change.episode <= self._last_ended or not self.counts.add(change):
            return False
        self._last_ended = change.episode
        return True

    def update(self, activity: Activity, *, moves: bool, now: float) -> None:
        """Adds up the time; see `RunTimes.update`. Stores it every few seconds."""
        self.times.update(activity, moves=moves, now=now)
        if self._run_id and now - self._stored >= STORE_PERIOD:
            self.store(now)

    def store(self, now: float) -> None:
        """Writes the counts and times, if there is a run."""
        if not self._run_id:
            return
        self._stored = now
        content = {
            "run_id": self._run_id,
            "counts": [dataclasses.asdict(each) for each in self.counts.by_prompt],
            "times": dataclasses.asdict(self.times.times),
            "last_ended": self._last_ended,
        }
        try:
            write_checked_json(self._path, content)
        except OSError as error:
            self._conditions.raise_condition(condition_table.RUN_BOOKS_NOT_STORED, reason=str(error))
        else:
            self._conditions.clear_condition(condition_table.RUN_BOOKS_NOT_STORED)

    def _read(self, run_id: str) -> tuple[EpisodeCounts, Times, int]:
        """Returns what the file says of a run.

        Raises:
            OSError, TypeError, ValueError, KeyError: where the file exists and is not one that `store` has written.
        """
        if not self._path.exists():
            return EpisodeCounts(), Times(), -1
        stored = read_checked_json(self._path)
        if stored["run_id"] != run_id:
            return EpisodeCounts(), Times(), -1
        counts = EpisodeCounts(PromptCounts(**each) for each in stored["counts"])
        return counts, Times(**stored["times"]), int(stored.get("last_ended", -1))
