"""Keeps the sample of a run that stores no transitions, while it trains."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.data.chunk_sample.facts import ChunkFacts, strip_of
from chunk_ppo_ros.data.chunk_sample.sample_files import write_rollout, write_strip

_log = logging.getLogger(__name__)


class ChunkSampler:
    """Writes the numbers of each rollout, and the newest episodes that ended with and without success.

    A disk that does not take the files costs the page of the run its pictures. It is logged once, and does not stop
    training.

    Args:
        run_dir: folder of the run.
        run_id: identity of the run.
    """

    def __init__(self, run_dir: Path, run_id: str) -> None:
        self._run_dir = run_dir
        self._run_id = run_id
        self._episode: list[Transition] = []  # of the episode that has not ended
        self._has_failed = False

    def add(self, transitions: Sequence[Transition]) -> None:
        """Takes the transitions of a rollout, in order, and writes what is new."""
        newest: dict[bool, list[Transition]] = {}
        for transition in transitions:
            if self._episode and self._episode[-1].id.episode != transition.id.episode:
                self._episode = []  # It ended by a chunk that made no transition.
            self._episode.append(transition)
            outcome = transition.outcome
            if outcome.terminated or outcome.truncated:
                newest[outcome.success] = self._episode
                self._episode = []
        try:
            write_rollout(self._run_dir, self._run_id, [ChunkFacts.of(transition) for transition in transitions])
            for episode in newest.values():
                if episode[0].id.chunk == 0:  # An episode that began before this process is not whole.
                    write_strip(self._run_dir, self._run_id, strip_of(episode))
        except OSError as error:
            if not self._has_failed:
                _log.warning("the page of %s lacks new episodes, which cannot be written: %s", self._run_dir, error)
            self._has_failed = True
