"""Lists what is in a file, and says what is not used of it."""

from __future__ import annotations

from collections.abc import Collection

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
    """Returns all datasets of a file, without those that only a soft or external link leads to."""
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


def unused(file: h5py.File, datasets: Collection[h5py.Dataset], used: Collection[str]) -> tuple[str, ...]:
    """Returns the name, the shape and the meaning of each dataset that is not used.

    Args:
        file: the open file.
        datasets: all datasets of the file.
        used: the names of those that are used.
    """
    taken = {thing for name in used if isinstance(thing := file.get(name), h5py.Dataset)}
    rest = [f"{name_of(dataset)}{_shape(dataset)}, {_meaning(dataset)}" for dataset in datasets if dataset not in taken]
    rest += [text for name, text in _links(file) if name not in used]
    more = len(rest) - _MAX_LISTED
    return (*rest[:_MAX_LISTED], *((f"{more} more arrays",) if more > 0 else ()))


def _links(file: h5py.File) -> list[tuple[str, str]]:
    """Returns the name of each soft and external link, with a text about it."""
    names: list[str] = []

    def note(name: str, link: h5py.HardLink | h5py.SoftLink | h5py.ExternalLink) -> None:
        if not isinstance(link, h5py.HardLink):
            names.append(name)

    file.visititems_links(note)
    return [
        (name, f"{name}, a link to {'something' if name in file and file.get(name) else 'nothing'}") for name in names
    ]


def _shape(dataset: h5py.Dataset) -> str:
    return "" if dataset.shape is None else f" [{', '.join(map(str, dataset.shape))}]"


def _meaning(dataset: h5py.Dataset) -> str:
    """Returns in a few words what an array is, by its name and its type."""
    name = name_of(dataset)
    for part, words in _MEANINGS:
        if part in name.lower():
            return words
    if "/images/" not in f"/{name}":
        return "unknown"
    wide = dataset.dtype.kind in "iuf" and dataset.dtype.itemsize > 1
    return "distances, or images of more than 8 bits" if wide else "images of a camera"
