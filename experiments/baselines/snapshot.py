"""Writes and reads the file from which a baseline resumes, one msgpack file that is whole or absent."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import flax.serialization

from chunk_ppo_ros.config import RunConfig
from chunk_ppo_ros.core.progress import Counters

FILE = "baseline.msgpack"


def write(run: RunConfig, counters: Counters, **trees: Any) -> None:
    """Replaces the run's snapshot.

    Args:
        run: run section, which names the folder of checkpoints.
        counters: progress of the run.
        trees: values that `flax.serialization` can convert, by name.
    """
    path = _path(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    states = {name: flax.serialization.to_state_dict(tree) for name, tree in trees.items()}
    partial = path.with_suffix(".part")
    partial.write_bytes(flax.serialization.msgpack_serialize({"counters": dataclasses.asdict(counters), **states}))
    partial.replace(path)


def read(run: RunConfig) -> tuple[Counters, dict[str, Any]] | None:
    """Returns the counters and the state dict of each tree, for `flax.serialization.from_state_dict`.

    Returns None where the run has no snapshot.
    """
    path = _path(run)
    if not path.is_file():
        return None
    states = flax.serialization.msgpack_restore(path.read_bytes())
    return Counters(**states.pop("counters")), states


def _path(run: RunConfig) -> Path:
    return run.checkpoint_folder / FILE
