"""Reads arrays of numbers from HDF5 files, and checks that each was written whole.

HDF5 gives zeros, without an error, for what was never written. Recorders that were ended early leave such arrays.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Collection

import h5py
import numpy as np

from chunk_ppo_ros.core.errors import EpisodesError

_STRUCTURE = re.compile(rb"TREE[\x00\x01]|SNOD\x01\x00|HEAP\x00{4}|GCOL\x01\x00{3}|OHDR\x02|OCHK")
"""The signatures with which parts of the structure of an HDF5 file begin. Numbers never have them, except by chance."""

Segment = tuple[int, int]
"""Where a part of an array is in the file: its first byte and the byte after its last."""


def read_numbers(dataset: h5py.Dataset) -> np.ndarray:
    """Returns a dataset of the numbers of each step, float64 [T, D].

    Raises:
        EpisodesError: where it has another shape, is not of numbers, or was not written whole.
    """
    if dataset.dtype.kind not in "fiu" or dataset.shape is None or len(dataset.shape) != 2:
        raise EpisodesError(
            f"{name_of(dataset)} must be numbers [steps, dimensions], got {described(dataset)} in "
            f"{dataset.file.filename}; convert it"
        )
    check_written(dataset)
    with np.errstate(invalid="ignore"):  # NaN is refused by name, later
        values = np.asarray(dataset[()])
    if _STRUCTURE.search(values.tobytes()):
        raise EpisodesError(
            f"the header of {name_of(dataset)} must point to its numbers, got a part of the file's own structure in "
            f"{dataset.file.filename}; copy or record it again"
        )
    with np.errstate(invalid="ignore"):
        return values.astype(np.float64)


def check_written(dataset: h5py.Dataset) -> list[Segment]:
    """Returns where the parts of an array are in the file.

    Raises:
        EpisodesError: where a part was never written, lies outside of the file or upon another part, where the array
            is kept in other files, or where its numbers have an unusual layout. All but the third come from damage.
    """
    where = f"{name_of(dataset)} of {dataset.file.filename}"
    if dataset.is_virtual or dataset.external:
        raise EpisodesError(
            f"arrays must be in the file itself, got {where}, which is kept in others; copy it by h5repack"
        )
    if dataset.dtype.kind in "fiu" and h5py.h5t.py_create(dataset.dtype, logical=True) != dataset.id.get_type():
        raise EpisodesError(f"numbers must be of a usual type, got an unusual one in {where}; copy or record it again")
    _check_filters(dataset, where)
    segments = _chunks(dataset, where) if dataset.chunks else _whole(dataset, where)
    check_apart(segments, where, dataset.file.id.get_filesize())
    return segments


def check_apart(segments: list[Segment], where: str, file_size: int) -> None:
    """Refuses parts that lie outside of the file or upon each other.

    Args:
        segments: where the parts are.
        where: what they belong to, for the error text.
        file_size: the size of the file, bytes.

    Raises:
        EpisodesError: for such parts.
    """
    ordered = sorted(segments)
    overlap = any(end > start for (_, end), (start, _) in itertools.pairwise(ordered))
    if overlap or (ordered and max(end for _, end in ordered) > file_size):
        raise EpisodesError(
            f"the index of {where} must point to separate parts of the file, got a damaged one; copy or record it again"
        )


def check_all_apart(file: h5py.File, names: Collection[str]) -> None:
    """Refuses a file in which datasets lie upon each other, or upon the header of another.

    Args:
        file: the open file.
        names: the names of the datasets. Those that are in other files are not looked at.

    Raises:
        EpisodesError: for such a file.
    """
    found = [thing for name in names if isinstance(thing := file.get(name), h5py.Dataset)]
    here = {dataset for dataset in found if dataset.file.filename == file.filename}
    headers = [h5py.h5o.get_info(dataset.id).addr for dataset in here]
    segments = [segment for dataset in here for segment in check_written(dataset)]
    check_apart([*segments, *((place, place + 1) for place in headers)], file.filename, file.id.get_filesize())


def name_of(dataset: h5py.Dataset) -> str:
    """Returns the name of a dataset without the slash at its start."""
    return str(dataset.name).lstrip("/")


def described(dataset: h5py.Dataset) -> str:
    """Returns the shape and type of a dataset, such as "[400, 14] of float32"."""
    shape = "nothing" if dataset.shape is None else f"[{', '.join(map(str, dataset.shape))}]"
    kind = "text or bytes" if dataset.dtype.kind in "OSU" else str(dataset.dtype)
    return f"{shape} of {kind}"


def _check_filters(dataset: h5py.Dataset, where: str) -> None:
    settings = dataset.id.get_create_plist()
    filters = [settings.get_filter(index) for index in range(settings.get_nfilters())]
    missing = [str(found[0]) for found in filters if not h5py.h5z.filter_avail(found[0])]
    if missing:
        raise EpisodesError(
            f"arrays must be compressed by a filter that h5py has, got number {', '.join(missing)} in {where}; copy it "
            "by h5repack with gzip"
        )


def _whole(dataset: h5py.Dataset, where: str) -> list[Segment]:
    expected = math.prod(dataset.shape) * dataset.id.get_type().get_size()
    stored = dataset.id.get_storage_size()
    if stored != expected:
        raise EpisodesError(f"{where} must be written whole, got {stored} of {expected} bytes; copy or record it again")
    start = dataset.id.get_offset()
    return [] if start is None else [(start, start + stored)]


def _chunks(dataset: h5py.Dataset, where: str) -> list[Segment]:
    expected = math.prod(-(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True))
    places: set[tuple[int, ...]] = set()
    segments: list[Segment] = []

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        places.add(tuple(chunk.chunk_offset))
        segments.append((chunk.byte_offset, chunk.byte_offset + chunk.size))

    dataset.id.chunk_iter(note)
    if len(places) != expected or len(segments) != expected:
        raise EpisodesError(
            f"{where} must be written whole, got {len(places)} of {expected} parts; its recorder was ended early: "
            "leave it out or record it again"
        )
    return segments
