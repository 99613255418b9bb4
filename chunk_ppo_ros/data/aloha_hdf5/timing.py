"""Finds the rate of a file: what it says itself, what its times say, and what the user says."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import h5py
import numpy as np

from chunk_ppo_ros.config import RecordingsConfig
from chunk_ppo_ros.core.errors import EpisodesError, UnansweredQuestion
from chunk_ppo_ros.data.aloha_hdf5.attributes import PLAIN, attribute, number
from chunk_ppo_ros.data.aloha_hdf5.datasets import check_written, name_of
from chunk_ppo_ros.robot import aloha

RATE_NAMES = ("fps", "frequency", "hz", "rate", "control_rate", "control_frequency", "control_freq")
"""The names of an attribute that says the control steps per second, in small or capital letters."""
PERIOD_NAME = "dt"
"""The name of an attribute that says the time of a control step, s, in small or capital letters."""

_UNITS = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9))
"""The units of recorded times. The rate of a robot within `_RATES` fits one of them at most."""
_RATES = (2.0, 1000.0)
_TOLERANCE = 0.1
"""The share by which the mean rate of the times may differ from the rate that the recorder aimed at."""


@dataclasses.dataclass(frozen=True)
class Timing:
    """The time of the steps of a file.

    Attributes:
        rate: the control steps per second, Hz.
        times: float64 [T], the recorded times of the steps, s; None where the file has none.
        source: the name of the dataset of the times, where there is one.
        said: sentences about what the file or the user says.
        assumed: sentences about what was assumed.
    """

    rate: float
    times: np.ndarray | None = None
    source: str = ""
    said: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


def timing_of(file: h5py.File, datasets: list[h5py.Dataset], num_steps: int, recordings: RecordingsConfig) -> Timing:
    """Returns the rate that the file says, that of --recorded_rate, or else ALOHA's, with the recorded times.

    Args:
        file: the open file.
        datasets: all its datasets.
        num_steps: the number of its steps.
        recordings: the settings, of which `recorded_rate` is read.

    Raises:
        EpisodesError: where the file says several rates, one that cannot be, or another than --recorded_rate.
        UnansweredQuestion: where only its times speak against ALOHA's rate.
    """
    said, unclear = _said(file)
    times, source, measured = _times(datasets, num_steps)
    if unclear and not recordings.recorded_rate:
        raise UnansweredQuestion(
            f"the rate of an episode must be a number, got {'; '.join(unclear)} in {file.filename}; set --recorded_rate"
        )
    rates = said | ({"--recorded_rate": recordings.recorded_rate} if recordings.recorded_rate else {})
    rate = _one_of(rates, file.filename) if rates else aloha.CONTROL_RATE
    if measured and abs(measured / rate - 1) > _TOLERANCE:
        text = f"{source} has steps at {measured:.4g} Hz in {file.filename}"
        if not rates:
            raise UnansweredQuestion(
                f"an episode must say its rate where it is not {rate:g} Hz, but {text}; set --recorded_rate"
            )
        raise EpisodesError(
            f"the rate of an episode must be that of its times, got {_shown(rates)}, but {text}; correct it"
        )
    found = (f"{source} has the times of the steps, {measured:.4g} Hz.",) if measured else ()
    if rates:
        return Timing(rate, times, source, said=(f"Its rate is {_shown(rates)}.", *found))
    assumed = f"The file does not say its rate. It is taken as {rate:g} Hz (--recorded_rate)."
    return Timing(rate, times, source, found, () if measured else (assumed,))


def _said(file: h5py.File) -> tuple[dict[str, float], list[str]]:
    """Returns the rates that attributes and datasets say, Hz, by where they are from, and those that are no numbers."""
    rates: dict[str, float] = {}
    unclear: list[str] = []
    for where, name, value in _stated(file):
        found = number(value)
        if found is None and _may_be_rate(value):
            unclear.append(f"{' '.join(str(value).split()):.60} by {where}")
        elif found is not None and name in RATE_NAMES:
            rates[where] = found
        elif found:
            rates[where] = 1 / found
    return rates, unclear


def _may_be_rate(value: object) -> bool:
    """Returns whether a value that is no number may mean a rate. Words without a digit, such as "high", do not."""
    if value is None or isinstance(value, h5py.Empty):
        return False
    return np.asarray(value).dtype.kind in "iuf" or any(character.isdigit() for character in str(value))


def _stated(file: h5py.File) -> Iterator[tuple[str, str, object]]:
    """Yields each place that says a rate or a period, its name in small letters, and its value."""
    for owner in (file, file.get("observations")):
        for name in owner.attrs if isinstance(owner, h5py.Group) else ():
            if name.lower() in (*RATE_NAMES, PERIOD_NAME):
                of = "" if owner is file else " of observations"
                yield f"the attribute {name}{of}", name.lower(), attribute(owner, name)
    for name, thing in file.items():
        plain = isinstance(thing, h5py.Dataset) and thing.id.get_type().get_class() in PLAIN
        if plain and name.lower() in (*RATE_NAMES, PERIOD_NAME) and thing.size is not None and thing.size <= 1:
            yield f"the dataset {name}", name.lower(), thing[()]


def _one_of(rates: dict[str, float], filename: str) -> float:
    rate = next(iter(rates.values()))
    if any(not math.isclose(other, rate, rel_tol=1e-3) for other in rates.values()):
        raise EpisodesError(f"an episode must have one rate, got {_shown(rates)} in {filename}; correct the wrong one")
    if not 0.1 <= rate <= _RATES[1]:
        raise EpisodesError(f"an episode must be of 0.1..1000 Hz, got {_shown(rates)} in {filename}; correct it")
    return rate


def _shown(rates: dict[str, float]) -> str:
    return " and ".join(f"{rate:g} Hz by {name}" for name, rate in rates.items())


def _times(datasets: list[h5py.Dataset], num_steps: int) -> tuple[np.ndarray | None, str, float]:
    """Returns the times of the steps in s, the name of their dataset, and their mean rate in Hz, if a file has them."""
    for dataset in datasets:
        if not _may_be_times(dataset, num_steps):
            continue
        check_written(dataset)
        values = np.asarray(dataset[()], np.float64).ravel()
        spaces = np.diff(values)
        for _, unit in _UNITS:
            if np.all(spaces > 0) and _RATES[0] <= 1 / (np.median(spaces) * unit) <= _RATES[1]:
                return values * unit, name_of(dataset), float(1 / (np.median(spaces) * unit))
    return None, "", 0.0


def _may_be_times(dataset: h5py.Dataset, num_steps: int) -> bool:
    leaf = name_of(dataset).split("/")[-1].lower()
    named = leaf in ("time", "times") or leaf.startswith("timestamp")
    return named and num_steps > 1 and dataset.dtype.kind in "fiu" and dataset.shape in ((num_steps,), (num_steps, 1))
