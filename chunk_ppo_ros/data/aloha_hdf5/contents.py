"""Lists what is in a file, and says what is not used of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import h5py

from chunk_ppo_ros.data.aloha_hdf5.datasets import name_of

_MAX_LISTED = 40
"""The largest number of unused arrays that are named one by one."""

_MEANINGS = (
    ("qvel", "velocities"),
    ("effort", "efforts of the motors"),
    ("base_action", "velocities of a mobile base"),
    ("base_vel", "velocities of a mobile base"),
    ("compress_len", "lengths of the compressed images"),
    ("relative_action", "actions relative to something"),
    ("delta", "actions relative to something"),
    ("depth", "distances"),
    ("timestamp", "times"),
    ("reward", "rewards"),
)
"""What an array is that has a part in its name."""


def datasets_of(file: h5py.File) -> list[h5py.Dataset]:
    """Returns all datasets of a file, also those behind links into other files."""
    found: list[h5py.Dataset] = []

    def note(name: str, thing: h5py.Group | h5py.Dataset) -> None:
        if isinstance(thing, h5py.Dataset):
            found.append(thing)

    file.visititems(note)
    return found


def names_in(file: h5py.File) -> str:
    """Returns the names of what is in a file, for error texts."""
    names: list[str] = []
    file.visit(names.append)
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "") or "nothing"


def unused(datasets: Collection[h5py.Dataset], used: Collection[str]) -> tuple[str, ...]:
    """Returns the name, the shape and the meaning of each dataset that is not used.

    Args:
        datasets: all datasets of the file.
        used: the names of those that are used.
    """
    rest = list(_unused(datasets, used))
    more = len(rest) - _MAX_LISTED
    return (*rest[:_MAX_LISTED], *((f"{more} more arrays",) if more > 0 else ()))


def _unused(datasets: Collection[h5py.Dataset], used: Collection[str]) -> Iterator[str]:
    for dataset in datasets:
        name = name_of(dataset)
        if name not in used:
            shape = "" if dataset.shape is None else f" [{', '.join(map(str, dataset.shape))}]"
            yield f"{name}{shape}, {meaning(dataset)}"


def meaning(dataset: h5py.Dataset) -> str:
    """Returns in a few words what an array is, by its name and its shape."""
    name = name_of(dataset)
    for part, words in _MEANINGS:
        if part in name.lower():
            return words
    return "images of a camera" if "/images/" in f"/{name}" else "unknown"
