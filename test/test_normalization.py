"""Tests quantile normalization and its statistics, with numbers derived by hand."""

from __future__ import annotations

import json
import pathlib

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.model.tokenization import normalization
from chunk_ppo_ros.model.tokenization.assets import PolicyAssets
from chunk_ppo_ros.model.tokenization.normalization import NormStats, Stats


def stats(*, q01: list[float], q99: list[float]) -> Stats:
    zeros = np.zeros(len(q01))
    return Stats(mean=zeros, std=zeros, q01=np.array(q01), q99=np.array(q99))


def test_normalize_by_hand() -> None:
    # With q01 = -1 and q99 = 3, (x + 1) / 4.000001 * 2 - 1 is -1, 0 - 2.5e-7 and 1 - 5e-7. Beyond, it is 2 - 7.5e-7,
    # which is not clipped.
    values = stats(q01=[-1.0], q99=[3.0]).normalize(np.array([[-1.0], [1.0], [3.0], [5.0]]))
    np.testing.assert_allclose(values[:, 0], [-1.0, -2.5e-7, 1 - 5e-7, 2 - 7.5e-7], atol=1e-7)
    assert values.dtype == np.float32


@hypothesis.given(
    values=arrays.arrays(np.float64, (3, 4), elements=st.floats(-4, 4)),
    q01=arrays.arrays(np.float64, 4, elements=st.floats(-3, 0)),
    width=arrays.arrays(np.float64, 4, elements=st.floats(0.05, 6)),
)
def test_unnormalize_inverts(values: np.ndarray, q01: np.ndarray, width: np.ndarray) -> None:
    one = stats(q01=q01.tolist(), q99=(q01 + width).tolist())
    # float32 keeps |normalized| <= 2 * 7 / 0.05 to 2^-24 of it, which is width / 2 * 280 * 6e-8 <= 1e-6 back.
    np.testing.assert_allclose(one.unnormalize(one.normalize(values)), values, atol=5e-6)


def test_wrong_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="the 1 dimensions of the normalization statistics, got 2"):
        stats(q01=[0.0], q99=[1.0]).normalize(np.zeros(2))


def test_clip_counts() -> None:
    clipped, count = normalization.clip_actions(np.array([[-1.6, 1.5], [0.0, 9.0]]), 1.5)
    np.testing.assert_array_equal(clipped, [[-1.5, 1.5], [0.0, 1.5]])
    assert count == 2


def test_quantiles_by_hand() -> None:
    # There are 101 states, whose dimension 0 is at 0, 0.01 .. 1. Its 1 % and 99 % quantiles are 0.01 and 0.99, its mean
    # is 0.5, and its variance is (101^2 - 1) / 12 * 1e-4 = 0.085. Actions of dimension 0 are always 0.5, so a range of
    # 0.1 is put around that.
    states = np.zeros((101, 8))
    states[:, 0] = np.arange(101) / 100
    actions = np.zeros((101, 4, 7))
    actions[:, :, 0] = 0.5
    norm = normalization.compute_norm_stats(states, actions, min_range=0.1)
    np.testing.assert_allclose(norm.state.q01[0], 0.01)
    np.testing.assert_allclose(norm.state.q99[0], 0.99)
    np.testing.assert_allclose(norm.state.mean[0], 0.5)
    np.testing.assert_allclose(norm.state.std[0], np.sqrt(0.085))
    np.testing.assert_allclose([norm.actions.q01[0], norm.actions.q99[0]], [0.45, 0.55], atol=1e-6)
    assert (norm.state.dim, norm.actions.dim) == (8, 7)


def test_all_steps_of_all_chunks_count_alike() -> None:
    # The numbers are 0 .. 7 in two chunks of four. The quantiles lie at positions 0.07 and 6.93 of the eight.
    actions = np.arange(8.0).reshape(2, 4, 1)
    norm = normalization.compute_norm_stats(np.zeros((2, 1)), actions)
    np.testing.assert_allclose([norm.actions.q01[0], norm.actions.q99[0], norm.actions.mean[0]], [0.07, 6.93, 3.5])


def test_a_joint_that_never_moves_normalizes_to_about_zero() -> None:
    states = np.full((10, 7), 0.3)
    norm = normalization.compute_norm_stats(states, np.zeros((10, 4, 7)))
    np.testing.assert_allclose(norm.state.normalize(states), 0, atol=1e-4)
    # Noise of 1 mrad on the range of 50 mrad is 0.001 / 0.05 * 2 = 0.04.
    np.testing.assert_allclose(norm.state.normalize(states + 0.001), 0.04, atol=1e-4)


def test_norm_stats_refuses_bad_demonstrations() -> None:
    with pytest.raises(ValueError, match=r"\[N, S\] and \[N, H, D\]"):
        normalization.compute_norm_stats(np.zeros((2, 7)), np.zeros((3, 4, 7)))
    with pytest.raises(ValueError, match="finite"):
        normalization.compute_norm_stats(np.full((2, 7), np.nan), np.zeros((2, 4, 7)))


def test_saves_and_loads(tmp_path: pathlib.Path) -> None:
    rng = np.random.default_rng(0)
    norm = normalization.compute_norm_stats(rng.normal(size=(20, 14)), rng.normal(size=(20, 4, 14)))
    norm.save(tmp_path / "trossen")
    loaded = PolicyAssets.find(tmp_path).norm_stats  # through the only asset id
    for part in ("state", "actions"):
        for name in ("mean", "std", "q01", "q99"):
            np.testing.assert_array_equal(getattr(getattr(loaded, part), name), getattr(getattr(norm, part), name))
    content = json.loads((tmp_path / "trossen" / "norm_stats.json").read_text())
    assert sorted(content["norm_stats"]) == ["actions", "state"]
    assert sorted(content["norm_stats"]["state"]) == ["mean", "q01", "q99", "std"]


def write(folder: pathlib.Path, part: dict[str, list[float]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "norm_stats.json").write_text(json.dumps({"norm_stats": {"state": part, "actions": part}}))


def test_missing_ambiguous_or_partial_files_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(CheckpointError, match=r"must hold norm_stats\.json"):
        PolicyAssets.find(tmp_path)
    write(tmp_path / "b", {"mean": [0], "std": [1]})
    with pytest.raises(ValueError, match=r"without \['state\.q01'"):
        NormStats.load(tmp_path / "b")
    with pytest.raises(CheckpointError, match=r"without \['state\.q01'"):
        PolicyAssets.find(tmp_path)
    write(tmp_path / "a", {"mean": [0], "std": [1]})
    with pytest.raises(CheckpointError, match=r"must be one of those in .* \(a, b\)"):
        PolicyAssets.find(tmp_path)
