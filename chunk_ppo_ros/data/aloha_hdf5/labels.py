"""Reads what a file says of its task: the prompt, and whether it was solved."""

from __future__ import annotations

import h5py
import numpy as np

from chunk_ppo_ros.core.errors import EpisodesError, UnansweredQuestion
from chunk_ppo_ros.data.aloha_hdf5.attributes import PLAIN, attribute

PROMPT_NAMES = ("prompt", "language_instruction", "instruction", "language_raw", "task")
"""The names by which recorders and their users write the task in words, as attribute or dataset of the file."""


def prompt_of(file: h5py.File) -> tuple[str, tuple[str, ...]]:
    """Returns the task in words and a sentence about where it is from. Both are empty where the file has none.

    Raises:
        EpisodesError: where the attribute `prompt` is no text.
        UnansweredQuestion: where the file has several texts.
    """
    texts: dict[str, str] = {}
    for name in PROMPT_NAMES:
        found = _texts(_stated(file, name), f"{name} of {file.filename}", required=name == PROMPT_NAMES[0])
        texts |= dict.fromkeys((text for text in found if text), name)
    if len(texts) > 1:
        several = ", ".join(f"{text!r} ({name})" for text, name in texts.items())
        raise UnansweredQuestion(f"an episode must have one prompt, got {several} in {file.filename}; set --prompt")
    return next(iter(texts), ""), tuple(f"Its prompt is that of {name}." for name in texts.values())


def success_of(file: h5py.File) -> bool | None:
    """Returns whether the task was solved, or None where the file does not say it.

    Raises:
        EpisodesError: for words, because the word "false" would count as true, and for numbers beside 0 and 1.
    """
    value = _stated(file, "success")
    if value is None:
        return None
    if value.dtype.kind in "biuf" and value.size == 1 and value.item() in (0, 1):
        return bool(value.item())
    raise EpisodesError(
        f"the attribute success of an episode must be true or false, got {_shown(value)} in "
        f"{file.filename}; write a bool"
    )


def _stated(file: h5py.File, name: str) -> np.ndarray | None:
    """Returns the value of an attribute or a small dataset of the file, or None where there is none or it is empty."""
    value = attribute(file, name)
    if value is None and isinstance(dataset := file.get(name), h5py.Dataset):
        plain = dataset.id.get_type().get_class() in PLAIN
        value = dataset[()] if plain and (dataset.shape is None or dataset.size <= 1_000_000) else None
    return None if value is None or isinstance(value, h5py.Empty) else np.asarray(value)


def _texts(value: np.ndarray | None, where: str, *, required: bool) -> list[str]:
    """Returns the texts of a value without blanks around them."""
    if value is None or value.size == 0:
        return []
    items = [item.item() if isinstance(item, np.generic) else item for item in value.ravel()]
    if not all(isinstance(item, (str, bytes)) for item in items):
        if required:
            raise EpisodesError(f"a prompt must be text, got {_shown(value)} in {where}; set --prompt")
        return []
    try:
        texts = [item.decode() if isinstance(item, bytes) else item for item in items]
        return [text.encode().decode().replace("\0", "").strip() for text in texts]
    except UnicodeError as error:
        raise EpisodesError(f"a prompt must be UTF-8 text, got {_shown(value)} in {where}; set --prompt") from error


def _shown(value: np.ndarray) -> str:
    text = repr(value.item() if value.size == 1 else value.tolist())
    return text if len(text) < 80 else f"{text[:76]} ..."
