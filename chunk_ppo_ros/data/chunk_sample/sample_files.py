"""Writes and reads the sample of a run that keeps no store: small files in the folder `chunk_sample` of the run."""

from __future__ import annotations

import dataclasses
import typing
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chunk_ppo_ros.core.atomic_file import write_atomically
from chunk_ppo_ros.data.chunk_sample.facts import ChunkFacts, ChunkSample, EpisodeStrip

FOLDER = "chunk_sample"
"""The name of the folder below that of the run."""

_ROLLOUT, _SUCCESS, _FAILURE = "rollout.npz", "success.npz", "failure.npz"
_NOTE = "The numbers are those of the newest rollout. The episodes are the newest that ended each way."
_TYPES = typing.get_type_hints(ChunkFacts)
_DAMAGE = (ValueError, KeyError, EOFError, zipfile.BadZipFile)


def write_rollout(run_dir: Path, run_id: str, chunks: Sequence[ChunkFacts]) -> None:
    """Writes the numbers of the newest rollout.

    Raises:
        OSError: when the file cannot be written.
    """
    _write(run_dir / FOLDER / _ROLLOUT, {"run_id": np.array(run_id), **_columns(chunks)})


def write_strip(run_dir: Path, run_id: str, strip: EpisodeStrip) -> None:
    """Writes an episode in the place of the one before it that ended in the same way.

    Raises:
        OSError: when the file cannot be written.
    """
    extra = {"prompt": np.array(strip.prompt), "num_chunks": np.array(strip.num_chunks), "images": strip.images}
    name = _SUCCESS if strip.success else _FAILURE
    _write(run_dir / FOLDER / name, {"run_id": np.array(run_id), **extra, **_columns(strip.chunks)})


def read_sample(run_dir: Path, run_id: str) -> ChunkSample | None:
    """Returns the sample of a run, or None where the folder has none of this run.

    Raises:
        OSError: when a file cannot be read.
        ValueError: when a file is damaged.
    """
    rollout = _read(run_dir / FOLDER / _ROLLOUT, run_id)
    if rollout is None:
        return None
    success, failure = (_strip(_read(run_dir / FOLDER / name, run_id)) for name in (_SUCCESS, _FAILURE))
    return ChunkSample(_chunks(rollout), success, failure, note=_NOTE)


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    write_atomically(path, lambda file: np.savez(file, **arrays), durable=False)  # type: ignore[arg-type]


def _read(path: Path, run_id: str) -> dict[str, np.ndarray] | None:
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return arrays if str(arrays["run_id"]) == run_id else None
    except _DAMAGE as error:
        raise ValueError(f"{path} must be a file of this package, got a damaged one: {error}; remove it") from error


def _columns(chunks: Sequence[ChunkFacts]) -> dict[str, np.ndarray]:
    return {
        field.name: np.array([getattr(chunk, field.name) for chunk in chunks])
        for field in dataclasses.fields(ChunkFacts)
    }


def _chunks(arrays: dict[str, np.ndarray]) -> tuple[ChunkFacts, ...]:
    columns = [map(kind, arrays[name].tolist()) for name, kind in _TYPES.items()]
    return tuple(ChunkFacts(*values) for values in zip(*columns, strict=True))


def _strip(arrays: dict[str, np.ndarray] | None) -> EpisodeStrip | None:
    if arrays is None:
        return None
    return EpisodeStrip(str(arrays["prompt"]), int(arrays["num_chunks"]), _chunks(arrays), arrays["images"])
