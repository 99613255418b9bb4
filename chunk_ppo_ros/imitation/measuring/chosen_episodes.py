"""Decides on which recorded episodes a checkpoint is measured, and says whether it was trained on them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.episode import Episode, seen_starts
from chunk_ppo_ros.data.left_out import is_left_out
from chunk_ppo_ros.imitation.measuring.imitated_data import EpisodeMark, ImitatedData
from chunk_ppo_ros.model.checkpoints.checkpoint import ASSETS, Checkpoint


@dataclasses.dataclass(frozen=True)
class ChosenEpisodes:
    """The episodes on which a checkpoint is measured.

    Attributes:
        episodes: the episodes, at least one.
        trained_on: a sentence on whether the checkpoint was trained on them.
    """

    episodes: tuple[Episode, ...]
    trained_on: str


def imitated_by(checkpoint: Checkpoint) -> ImitatedData | None:
    """Returns what a checkpoint imitated, from its own assets or from those of the imitation that its run began with.

    It is None where neither keeps it, or where the imitation is not in its place any more.
    """
    own = ImitatedData.load(checkpoint.assets)
    if own is not None or checkpoint.metadata is None:
        return own
    origin = checkpoint.metadata.provenance
    return None if origin.kind == "scratch" else ImitatedData.load(Path(origin.path) / ASSETS)


def choose_episodes(
    episodes: Sequence[Episode], imitated: ImitatedData | None, *, names: Sequence[str] = ()
) -> ChosenEpisodes:
    """Returns the episodes to measure: those of the names, or those that the imitation held out, or all.

    Args:
        episodes: the recorded episodes, at least one.
        imitated: what the checkpoint imitated; None where it is not known.
        names: ends of the names of episodes, as `--leave_out_episodes` has them; empty leaves it to the imitation.

    Raises:
        EpisodesError: where no episode has one of the names.
    """
    if names:
        for name in names:
            if not any(is_left_out(episode.source, [name]) for episode in episodes):
                found = ", ".join(episode.source for episode in episodes[:5])
                raise EpisodesError(
                    f"--held_out must name episodes of --episodes, got {name}, which none of {len(episodes)} ends in "
                    f"({found} ..); correct it"
                )
        chosen = tuple(episode for episode in episodes if is_left_out(episode.source, names))
        return ChosenEpisodes(chosen, _relation(chosen, imitated))
    held_out = () if imitated is None else _among(episodes, imitated.held_out)
    if held_out and imitated is not None:
        named = len(imitated.held_out)
        return ChosenEpisodes(held_out, f"they are {len(held_out)} of the {named} that its imitation held out")
    return ChosenEpisodes(tuple(episodes), _relation(episodes, imitated))


def limit_starts(episodes: Sequence[Episode], *, stride: int, most: int) -> list[Episode]:
    """Returns the episodes with at most `most` steps that start a chunk, spread evenly over all of them.

    The images of other steps are then not read. Episodes without such a step are left out.

    Args:
        episodes: the episodes, at least one.
        stride: the least number of steps between two starts.
        most: largest number of starts, at least 1.
    """
    starts = [seen_starts(episode, stride=stride) for episode in episodes]
    numbers = np.repeat(np.arange(len(episodes)), [len(at) for at in starts])
    rows = np.unique(np.linspace(0, len(numbers) - 1, min(most, len(numbers))).round().astype(int))
    steps = np.concatenate(starts)[rows]
    chosen = [(episode, steps[numbers[rows] == number]) for number, episode in enumerate(episodes)]
    return [dataclasses.replace(episode, image_steps=at) for episode, at in chosen if len(at)]


def _among(episodes: Sequence[Episode], marks: Sequence[EpisodeMark]) -> tuple[Episode, ...]:
    """Returns the episodes that have one of the marks."""
    crcs, names = {mark.crc for mark in marks}, {mark.name for mark in marks}
    return tuple(e for e in episodes if e.source in names or EpisodeMark.of(e).crc in crcs)


def _relation(episodes: Sequence[Episode], imitated: ImitatedData | None) -> str:
    """Returns a sentence on whether a policy was trained on episodes that its imitation did not choose."""
    if imitated is None:
        return "the checkpoint does not say what it was trained on, so it may have been trained on them"
    trained = len(_among(episodes, imitated.trained_on))
    if trained:
        return f"the policy was trained on {trained} of them, so the figures say little of new episodes"
    return "the policy was not trained on them"
