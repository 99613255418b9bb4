"""Reads recorded episodes and shows how many are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.data import readers
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.reporting.progress import progress_bar


def read_all(paths: Sequence[Path], config: TrainConfig) -> list[Episode]:
    """Returns all episodes as `data.readers.read_all` does, and raises its errors. A bar counts them meanwhile."""
    with progress_bar("reading recordings", unit="episode") as bar:
        return readers.read_all(paths, config, on_episode=bar.update)
