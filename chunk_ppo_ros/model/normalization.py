"""Quantile normalisation of states and actions, and actions relative to the state; numpy only.

Statistics are kept in openpi's `norm_stats.json`. Joints are normalised as targets relative to the measured state,
grippers as absolute targets. openpi's `adapt_to_pi` (joint signs and gripper linkage of its training data) is not here:
it maps states and actions of the robot before, and back after, everything in this module.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib

import numpy as np

EPSILON = 1e-6
"""Added to q99 - q01, as openpi does."""

MIN_RANGE = 0.05
"""Smallest q99 - q01 that `compute_norm_stats` gives, rad or gripper opening."""

_FILE = "norm_stats.json"


@dataclasses.dataclass(frozen=True)
class Stats:
    """Statistics of one vector, each float64 [D]: mean, standard deviation, 1 % and 99 % quantiles."""

    mean: np.ndarray
    std: np.ndarray
    q01: np.ndarray
    q99: np.ndarray

    def normalize(self, values: np.ndarray) -> np.ndarray:
        """(x - q01) / (q99 - q01 + 1e-6) * 2 - 1 on the last axis, float32; not clipped."""
        self._check(values)
        return np.asarray((values - self.q01) / (self.q99 - self.q01 + EPSILON) * 2 - 1, np.float32)

    def unnormalize(self, values: np.ndarray) -> np.ndarray:
        """Inverse of `normalize`."""
        self._check(values)
        return np.asarray((values + 1) / 2 * (self.q99 - self.q01 + EPSILON) + self.q01, np.float32)

    @property
    def dim(self) -> int:
        """Length of the vector."""
        return len(self.q01)

    def _check(self, values: np.ndarray) -> None:
        if values.shape[-1] != self.dim:
            raise ValueError(
                f"values must have the {self.dim} dimensions of the normalisation statistics, got {values.shape[-1]}; "
                "take the norm_stats.json of this robot"
            )


@dataclasses.dataclass(frozen=True)
class NormStats:
    """Statistics of the state [S] and of the relative actions [D]."""

    state: Stats
    actions: Stats

    @classmethod
    def load(cls, folder: str | pathlib.Path) -> NormStats:
        """Reads `norm_stats.json` of a folder; see `find_norm_stats`."""
        path = find_norm_stats(folder)
        parts = json.loads(path.read_text())["norm_stats"]
        missing = [
            f"{part}.{name}" for part in ("state", "actions") for name in _names() if name not in parts.get(part, {})
        ]
        if missing:
            raise ValueError(
                f"norm_stats must have state and actions with {', '.join(_names())}, got {path} without {missing}"
            )
        return cls(state=_from_json(parts["state"]), actions=_from_json(parts["actions"]))

    def save(self, folder: str | pathlib.Path) -> None:
        """Writes `norm_stats.json` into a folder."""
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        parts = {part: {n: getattr(getattr(self, part), n).tolist() for n in _names()} for part in ("state", "actions")}
        (folder / _FILE).write_text(json.dumps({"norm_stats": parts}, indent=2) + "\n")


def find_norm_stats(folder: str | pathlib.Path) -> pathlib.Path:
    """The `norm_stats.json` in a folder, or in its only sub-folder that has one (openpi's `assets/<asset_id>/`).

    Raises:
        FileNotFoundError: where there is none.
        ValueError: where several sub-folders have one.
    """
    folder = pathlib.Path(folder)
    if (folder / _FILE).is_file():
        return folder / _FILE
    found = sorted(folder.glob(f"*/{_FILE}"))
    if not found:
        raise FileNotFoundError(f"assets folder must hold {_FILE} or <asset_id>/{_FILE}, got {folder}")
    if len(found) > 1:
        names = ", ".join(path.parent.name for path in found)
        raise ValueError(
            f"assets folder must hold one {_FILE}, got those of {names} in {folder}; name one of these folders"
        )
    return found[0]


def joint_mask(action_dim: int) -> np.ndarray:
    """bool [D], true for joints and false for grippers, of arms with six joints and a gripper each."""
    if action_dim < 1 or action_dim % 7:
        raise ValueError(f"action_dim must be a multiple of 7 (six joints and a gripper an arm), got {action_dim}")
    return np.arange(action_dim) % 7 < 6


def to_relative(actions: np.ndarray, state: np.ndarray) -> np.ndarray:
    """Actions [..., H, D] with the joints relative to the state [..., D] that they were taken in."""
    offset = np.where(joint_mask(actions.shape[-1]), state, 0)
    return (actions - offset[..., None, :]).astype(np.float32)


def to_absolute(actions: np.ndarray, state: np.ndarray) -> np.ndarray:
    """Inverse of `to_relative`."""
    offset = np.where(joint_mask(actions.shape[-1]), state, 0)
    return (actions + offset[..., None, :]).astype(np.float32)


def clip_actions(actions: np.ndarray, limit: float) -> tuple[np.ndarray, int]:
    """Normalised actions clipped to +-limit, and how many values that changed."""
    return np.clip(actions, -limit, limit), int(np.count_nonzero(np.abs(actions) > limit))


def compute_norm_stats(states: np.ndarray, actions: np.ndarray, *, min_range: float = MIN_RANGE) -> NormStats:
    """Statistics of demonstrations.

    Where q99 - q01 is below `min_range` both are moved apart evenly to that range, so that a joint that never moves
    normalises to about 0 and its noise is not blown up. Differs from openpi, which has no such floor.

    Args:
        states: [N, S], at the start of each chunk, rad and gripper opening.
        actions: [N, H, D], absolute targets in the same units, S = D.
        min_range: smallest range of a dimension, > 0.
    """
    if states.ndim != 2 or actions.ndim != 3 or len(states) != len(actions) or not len(states):
        raise ValueError(
            f"states and actions must be [N, S] and [N, H, D] with N > 0, got {states.shape}, {actions.shape}"
        )
    if not (np.all(np.isfinite(states)) and np.all(np.isfinite(actions))):
        raise ValueError("states and actions must be finite, got NaN or infinity; leave those chunks out")
    relative = to_relative(actions, states).reshape(-1, actions.shape[-1])
    return NormStats(state=_compute(states, min_range), actions=_compute(relative, min_range))


def _compute(values: np.ndarray, min_range: float) -> Stats:
    values = values.astype(np.float64)
    q01, q99 = np.quantile(values, [0.01, 0.99], axis=0)
    widen = np.maximum(min_range - (q99 - q01), 0) / 2
    return Stats(mean=values.mean(axis=0), std=values.std(axis=0), q01=q01 - widen, q99=q99 + widen)


def _names() -> list[str]:
    return [field.name for field in dataclasses.fields(Stats)]


def _from_json(values: dict[str, list[float]]) -> Stats:
    """The statistics without trailing dimensions that are 0 in all of them, with which some files are padded."""
    columns = np.array([values[name] for name in _names()], np.float64)
    if not np.all(np.isfinite(columns)):
        raise ValueError("norm_stats must be finite, got NaN or infinity")
    used = np.flatnonzero(np.any(columns != 0, axis=0))
    dim = int(used[-1]) + 1 if used.size else 0
    return Stats(*columns[:, :dim])
