"""Reads and writes `consumed.json` of an own checkpoint, which says which chunks the run has trained on."""

from __future__ import annotations

from pathlib import Path

from chunk_ppo_ros.core.consumption.consumed import Consumed
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.model.checkpoints.metadata_file import read_checked, write_checked

CONSUMED = "consumed.json"
"""The name of the file in the checkpoint's folder. Checkpoints of earlier releases do not have it."""


def write_consumed(folder: Path, consumed: Consumed) -> None:
    """Writes the record into the folder of a checkpoint."""
    write_checked(folder / CONSUMED, consumed.to_json())


def read_consumed(folder: Path) -> Consumed:
    """Returns the record of a checkpoint.

    Raises:
        CheckpointError: when the file is missing, damaged, changed, or has another form.
    """
    file = folder / CONSUMED
    content = read_checked(file)
    try:
        return Consumed.of_json(content)
    except ValueError as error:
        raise CheckpointError(f"{file} cannot be used: {error}; take another checkpoint") from error
