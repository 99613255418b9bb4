"""Finds what a file itself says of the order of its arms, in names of joints that people add to it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

import h5py
import numpy as np

from chunk_ppo_ros.data.aloha_hdf5.attributes import PLAIN, attribute
from chunk_ppo_ros.data.aloha_hdf5.datasets import name_of
from chunk_ppo_ros.data.aloha_hdf5.vectors import ACTIONS, STATES

_SIDE = re.compile(r"(?<![a-z])(left|right)(?![a-z])")
_MOST_TEXTS = 100
"""The largest number of texts that may be names of dimensions."""


@dataclasses.dataclass(frozen=True)
class ArmNames:
    """Names that tell which arm comes first.

    Attributes:
        where: the attribute or dataset that has them.
        first: the side of the first arm, "left" or "right".
    """

    where: str
    first: str


def arm_names_of(file: h5py.File, datasets: list[h5py.Dataset]) -> tuple[ArmNames, ...]:
    """Returns all names in a file that tell which arm comes first. Names of cameras do not count."""
    found = []
    for where, texts in _texts(file, datasets):
        if first := _first_side(where, texts):
            found.append(ArmNames(where, first))
    return tuple(found)


def texts_of(file: h5py.File, datasets: list[h5py.Dataset]) -> list[str]:
    """Returns the texts of all attributes and small datasets of text in a file."""
    return [text for _, texts in _texts(file, datasets) for text in texts]


def _texts(file: h5py.File, datasets: list[h5py.Dataset]) -> Iterator[tuple[str, list[str]]]:
    for owner in ("/", "observations", STATES, ACTIONS):
        thing = file.get(owner)
        for name in thing.attrs if thing is not None else ():
            where = f"attribute {name}" if owner == "/" else f"attribute {name} of {owner}"
            yield where, _as_texts(attribute(thing, name))
    for dataset in datasets:
        is_text = dataset.id.get_type().get_class() == h5py.h5t.STRING and PLAIN
        if is_text and dataset.shape is not None and dataset.size <= _MOST_TEXTS:
            yield name_of(dataset), _as_texts(dataset[()])


def _as_texts(value: object) -> list[str]:
    """Returns the texts of a value, in small letters; none where it has numbers."""
    if value is None or isinstance(value, h5py.Empty):
        return []
    items = np.asarray(value).ravel()[:_MOST_TEXTS].tolist()
    texts = [item.decode(errors="replace") if isinstance(item, bytes) else item for item in items]
    return [text.lower() for text in texts if isinstance(text, str)]


def _first_side(where: str, texts: list[str]) -> str:
    """Returns the side that texts put first, where they are names of two arms, or an empty text."""
    if "prompt" in where or any("cam" in text or "image" in text for text in (where.lower(), *texts)):
        return ""
    if len(texts) == 1 and (said := re.fullmatch(r"(left|right)[_ -]first", texts[0])):
        return said.group(1)
    sides = [match.group(1) for text in texts if (match := _SIDE.search(text))]
    return sides[0] if len(texts) > 1 and len(sides) * 2 >= len(texts) and len(set(sides)) == 2 else ""
