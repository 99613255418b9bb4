"""Normalizes states and actions by quantiles, with statistics in openpi's `norm_stats.json` and with numpy only.

States and actions here are those of the policy's space, which `aloha_transforms.py` makes of the robot's before they
are normalized.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib

import numpy as np
from jaxtyping import Float32, Float64, Real

from chunk_ppo_ros.model.tokenization.norm_stats_file import FILE, PARTS, STATISTICS, read_norm_stats

EPSILON = 1e-6
"""The number that is added to q99 - q01, so that no division is by 0; openpi's value."""

MIN_RANGE = 0.05
"""The smallest q99 - q01 that `compute_norm_stats` returns, in rad or units of the gripper."""


@dataclasses.dataclass(frozen=True)
class Stats:
    """Statistics of one vector: its mean, its standard deviation, and its 1 % and 99 % quantiles q01 and q99."""

    mean: Float64[np.ndarray, "D"]
    std: Float64[np.ndarray, "D"]
    q01: Float64[np.ndarray, "D"]
    q99: Float64[np.ndarray, "D"]

    def normalize(self, values: Real[np.ndarray, "*batch D"]) -> Float32[np.ndarray, "*batch D"]:
        """Returns (x - q01) / (q99 - q01 + 1e-6) * 2 - 1 on the last axis. No value is clipped.

        Raises:
            ValueError: where the values have another number of dimensions than the statistics.
        """
        self._check(values)
        return np.asarray((values - self.q01) / (self.q99 - self.q01 + EPSILON) * 2 - 1, np.float32)

    def unnormalize(self, values: Real[np.ndarray, "*batch D"]) -> Float32[np.ndarray, "*batch D"]:
        """Returns the values from which `normalize` makes these."""
        self._check(values)
        return np.asarray((values + 1) / 2 * (self.q99 - self.q01 + EPSILON) + self.q01, np.float32)

    @property
    def dim(self) -> int:
        """The length of the vector."""
        return len(self.q01)

    @property
    def num_used(self) -> int:
        """The number of dimensions up to the last one that is not 0 in every statistic."""
        used = np.flatnonzero(np.any(np.array([self.mean, self.std, self.q01, self.q99]) != 0, axis=0))
        return int(used[-1]) + 1 if used.size else 0

    @property
    def constant(self) -> tuple[int, ...]:
        """The dimensions whose q01 and q99 are the same, because they never moved."""
        return tuple(int(index) for index in np.flatnonzero(self.q01 == self.q99))

    def first(self, dim: int) -> Stats:
        """Returns the statistics of the first `dim` dimensions."""
        return Stats(self.mean[:dim], self.std[:dim], self.q01[:dim], self.q99[:dim])

    def _check(self, values: Real[np.ndarray, "... D"]) -> None:
        if values.shape[-1] != self.dim:
            raise ValueError(
                f"values must have the {self.dim} dimensions of the normalization statistics, got {values.shape[-1]}; "
                "take the norm_stats.json of this robot"
            )


@dataclasses.dataclass(frozen=True)
class NormStats:
    """Statistics of the state [S] and of the actions [D] in the policy's space. S and D may differ."""

    state: Stats
    actions: Stats

    @classmethod
    def load(cls, folder: str | pathlib.Path) -> NormStats:
        """Reads the `norm_stats.json` of a folder. `assets.py` finds the folder in a checkpoint.

        Raises:
            FileNotFoundError: when the folder has no such file.
            ValueError: when statistics are missing or cannot be right; the text names the field.
        """
        columns = read_norm_stats(pathlib.Path(folder) / FILE)
        return cls(state=Stats(*columns["state"]), actions=Stats(*columns["actions"]))

    def without_padding(self, action_dim: int) -> NormStats:
        """Returns the statistics without the zeros by which openpi pads them, where they are padded.

        They are padded where the actions have more than `action_dim` dimensions, and all further ones are 0 in every
        statistic. The state is padded alike: it keeps its dimensions up to the last that is not 0, and at least
        `action_dim` of them. Other statistics stay as they are. A joint that never moves may well be 0 in all of them.
        """
        if self.actions.dim <= action_dim or self.actions.num_used > action_dim:
            return self
        state_dim = min(self.state.dim, max(action_dim, self.state.num_used))
        return NormStats(state=self.state.first(state_dim), actions=self.actions.first(action_dim))

    def save(self, folder: str | pathlib.Path) -> None:
        """Writes `norm_stats.json` into a folder."""
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        parts = {part: {n: getattr(getattr(self, part), n).tolist() for n in STATISTICS} for part in PARTS}
        (folder / FILE).write_text(json.dumps({"norm_stats": parts}, indent=2) + "\n")


def clip_actions(actions: Real[np.ndarray, "*batch D"], limit: float) -> tuple[Real[np.ndarray, "*batch D"], int]:
    """Returns normalized actions clipped to +-limit, and the number of values that clipping changed."""
    return np.clip(actions, -limit, limit), int(np.count_nonzero(np.abs(actions) > limit))


def compute_norm_stats(
    states: Real[np.ndarray, "..."], actions: Real[np.ndarray, "..."], *, min_range: float = MIN_RANGE
) -> NormStats:
    """Returns statistics of demonstrations in the policy's space.

    Quantiles are exact, with linear interpolation between order statistics. Where q99 - q01 is below `min_range`, both
    are moved apart evenly to that range. A joint that never moves is then normalized to about 0, and its noise is not
    enlarged. openpi differs: it estimates quantiles from histograms of 5000 bins and has no smallest range.

    Args:
        states: [N, S], in the policy's space, at the start of each chunk.
        actions: [N, H, D], in the policy's space; all steps of all chunks count alike.
        min_range: smallest range of a dimension, > 0.

    Raises:
        ValueError: where states or actions have another shape, or a value is not finite.
    """
    if states.ndim != 2 or actions.ndim != 3 or len(states) != len(actions) or not len(states):
        raise ValueError(
            f"states and actions must be [N, S] and [N, H, D] with N > 0, got {states.shape}, {actions.shape}"
        )
    if not (np.all(np.isfinite(states)) and np.all(np.isfinite(actions))):
        raise ValueError("states and actions must be finite, got NaN or infinity; leave those chunks out")
    flat = actions.reshape(-1, actions.shape[-1])
    return NormStats(state=_compute(states, min_range), actions=_compute(flat, min_range))


def _compute(values: Real[np.ndarray, "N D"], min_range: float) -> Stats:
    columns = (column.astype(np.float64) for column in values.T)  # One at a time, because values may take gigabytes.
    mean, std, q01, q99 = np.array([[c.mean(), c.std(), *np.quantile(c, [0.01, 0.99])] for c in columns]).T
    widen = np.maximum(min_range - (q99 - q01), 0) / 2
    return Stats(mean=mean, std=std, q01=q01 - widen, q99=q99 + widen)
