"""Decides which recorded episodes the user leaves out by name."""

from __future__ import annotations

from collections.abc import Sequence


def is_left_out(source: str, names: Sequence[str]) -> bool:
    """Returns whether one of the names leaves out an episode.

    A name leaves out an episode where it is the end of the episode's name, from the start of a file, a folder or the
    number of an episode on: "episode_3.hdf5", "cup/episode_3.hdf5" and "cup, episode 7" are such names.

    Args:
        source: the episode's name (`Episode.source`).
        names: the names (`recordings.leave_out_episodes`).
    """
    return any(source == name or source.endswith((f"/{name}", f", {name}")) for name in names if name)
