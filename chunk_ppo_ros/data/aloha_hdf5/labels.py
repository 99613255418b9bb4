"""Reads what a file says in words and single numbers: the prompt, whether the task was solved, and the rate."""

from __future__ import annotations

import dataclasses
import math

import h5py
import numpy as np

from chunk_ppo_ros.config import RecordingsConfig
from chunk_ppo_ros.core.errors import EpisodesError, UnansweredQuestion
from chunk_ppo_ros.robot import aloha

PROMPT_NAMES = ("prompt", "language_instruction", "instruction", "language_raw", "task")
"""The names by which recorders and their users write the task in words, as attribute or dataset of the file."""

RATE_NAMES = ("fps", "frequency", "hz", "rate", "control_rate", "control_frequency", "control_freq")
"""The names of an attribute that says the control steps per second."""

_PLAIN = (h5py.h5t.STRING, h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM)
"""The classes of types that an attribute may have."""


@dataclasses.dataclass(frozen=True)
class Rate:
    """The control steps per second of a file.

    Attributes:
        rate: the rate, Hz.
        said: a sentence about where it is from, if the file or the user says it.
        assumed: a sentence about the assumption, if nobody says it.
    """

    rate: float
    said: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


def prompt_of(file: h5py.File) -> str:
    """Returns the task in words, or an empty text where the file has none.

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
    return next(iter(texts), "")


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


def rate_of(file: h5py.File, recordings: RecordingsConfig) -> Rate:
    """Returns the rate that the file says, that of --recorded_rate, or else ALOHA's.

    Raises:
        EpisodesError: where the file says several rates, one that cannot be, or another than --recorded_rate.
    """
    said = {name: value for name in RATE_NAMES if (value := _number(attribute(file, name))) is not None}
    said |= {name: 1 / value for name in ("dt", "DT") if (value := _number(attribute(file, name)))}
    rates = {f"the attribute {name}": value for name, value in said.items()}
    if recordings.recorded_rate:
        rates["--recorded_rate"] = recordings.recorded_rate
    if not rates:
        return Rate(
            aloha.CONTROL_RATE,
            assumed=(f"The file does not say its rate. It is taken as {aloha.CONTROL_RATE:g} Hz (--recorded_rate).",),
        )
    shown = " and ".join(f"{value:g} by {name}" for name, value in rates.items())
    first = next(iter(rates.values()))
    if any(not math.isclose(value, first, rel_tol=1e-3) for value in rates.values()):
        raise EpisodesError(
            f"an episode must have one rate, got {shown} in {file.filename}; correct the one that is wrong"
        )
    if not 0.1 <= first <= 1000.0:
        raise EpisodesError(f"the rate of an episode must be within 0.1..1000 Hz, got {shown} in {file.filename}")
    return Rate(first, said=(f"Its rate is {shown}, Hz.",))


def attribute(file: h5py.File, name: str) -> object:
    """Returns an attribute of a file, or None where there is none, or one that is neither text nor numbers.

    The HDF5 library ends the process where it reads a damaged attribute of another type.
    """
    if name not in file.attrs:
        return None
    kind = file.attrs.get_id(name).get_type().get_class()
    return file.attrs[name] if kind in _PLAIN else None


def _stated(file: h5py.File, name: str) -> np.ndarray | None:
    """Returns the value of an attribute or a small dataset of the file, or None where there is none or it is empty."""
    value = attribute(file, name)
    if value is None and isinstance(dataset := file.get(name), h5py.Dataset):
        plain = dataset.id.get_type().get_class() in _PLAIN
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


def _number(value: object) -> float | None:
    """Returns an attribute as a number, or None where it is none."""
    try:
        number = float(np.asarray(value).item())
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _shown(value: np.ndarray) -> str:
    text = repr(value.item() if value.size == 1 else value.tolist())
    return text if len(text) < 80 else f"{text[:76]} ..."
