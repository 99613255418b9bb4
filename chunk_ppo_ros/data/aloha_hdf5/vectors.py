"""Reads states and actions, and cuts what is no arm of theirs."""

from __future__ import annotations

import dataclasses

import h5py
import numpy as np

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.aloha_hdf5.contents import names_in
from chunk_ppo_ros.data.aloha_hdf5.datasets import read_numbers
from chunk_ppo_ros.robot import aloha

STATES = "observations/qpos"
ACTIONS = "action"
_BASE_DIM = 2
"""The number of dimensions of Mobile ALOHA's base: its velocity along its way, and the one around its axis."""


@dataclasses.dataclass(frozen=True)
class Vectors:
    """States and actions of a file, as recorded.

    Attributes:
        states: float64 [T, S].
        actions: float64 [T, D].
        said: sentences about what the file says.
        unused: what is not used of them.
    """

    states: np.ndarray
    actions: np.ndarray
    said: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


def vectors_of(file: h5py.File) -> Vectors:
    """Returns the states and actions of a file.

    Raises:
        EpisodesError: where one is missing, or they are not numbers of equally many steps.
    """
    found = {name: file.get(name) for name in (STATES, ACTIONS)}
    if not all(isinstance(each, h5py.Dataset) for each in found.values()):
        raise EpisodesError(
            f"an ALOHA episode must have {STATES} and {ACTIONS}, got {names_in(file)} in {file.filename}; convert it"
        )
    states, actions = (read_numbers(dataset) for dataset in found.values())
    if len(states) != len(actions):
        raise EpisodesError(
            f"{STATES} and {ACTIONS} must have equally many steps, got {len(states)} and {len(actions)} in "
            f"{file.filename}; convert it, or leave it out"
        )
    return _arms(Vectors(states, actions), file)


def _arms(vectors: Vectors, file: h5py.File) -> Vectors:
    """Returns states and actions without the base of Mobile ALOHA, where it is known to be among them."""
    sizes = vectors.states.shape[1], vectors.actions.shape[1]
    with_base = aloha.ACTION_DIM + _BASE_DIM
    if with_base not in sizes or not (aloha.ACTION_DIM in sizes or _is_base(file, vectors.actions)):
        return vectors
    named = ((STATES, sizes[0]), (ACTIONS, sizes[1]))
    unused = tuple(
        f"{name} dimensions 15 and 16, velocities of a mobile base" for name, size in named if size == with_base
    )
    arms = slice(aloha.ACTION_DIM)
    return Vectors(vectors.states[:, arms], vectors.actions[:, arms], unused=unused)


def _is_base(file: h5py.File, actions: np.ndarray) -> bool:
    """Returns whether the last two dimensions of the actions are the base's velocities of the same file."""
    base = file.get("base_action")
    return (
        isinstance(base, h5py.Dataset)
        and base.shape == (len(actions), _BASE_DIM)
        and np.allclose(read_numbers(base), actions[:, aloha.ACTION_DIM :], atol=1e-5)
    )
