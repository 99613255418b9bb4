"""Tests the command norm-stats, on episodes made here.

Statistics are compared with numpy's on data that is transformed by hand.
"""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import pytest

from chunk_ppo_ros.__main__ import main
from chunk_ppo_ros.config import MODELS
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.imitation import norm_stats
from chunk_ppo_ros.model.tokenization.normalization import NormStats
from support.recordings import IMPLAUSIBLE, write_hdf5

MODEL = dataclasses.replace(MODELS["tiny"], action_dim=7, action_horizon=2)


def episode(num_steps: int = 50, dims: tuple[int, int] = (7, 7)) -> Episode:
    rng = np.random.default_rng(0)
    states, actions = (rng.uniform(-1, 1, (num_steps, dim)).astype(np.float32) for dim in dims)
    return Episode("made up", states, actions, rate=50.0)


def test_relative_actions_by_hand() -> None:
    # The waist is at 0, 1 .. 4, and its action is where it is. The gripper's action is 0, 0.2 .. 0.8. With H = 2 the
    # relative waist is 0 first and 1 then. At the end, where the last action repeats, it is 0. So there are six 0 and
    # four 1.
    states, actions = np.zeros((5, 7), np.float32), np.zeros((5, 7), np.float32)
    states[:, 0] = actions[:, 0] = np.arange(5)
    actions[:, 6] = np.arange(5) / 5
    result = norm_stats.norm_stats_of([Episode("by hand", states, actions, rate=50.0)], MODEL)
    np.testing.assert_allclose(result.actions.mean[0], 0.4)
    np.testing.assert_allclose(result.actions.std[0], np.sqrt(0.24))
    gripper = [0, 0.2, 0.2, 0.4, 0.4, 0.6, 0.6, 0.8, 0.8, 0.8]
    np.testing.assert_allclose(result.actions.q01[6], np.quantile(gripper, 0.01), rtol=1e-6)
    np.testing.assert_allclose(result.actions.mean[6], 0.48, rtol=1e-6)
    np.testing.assert_allclose([result.state.mean[0], result.state.q99[0]], [2.0, 3.96])


def test_adapted_to_pi() -> None:
    recorded = episode()
    plain = norm_stats.norm_stats_of([recorded], MODEL)
    adapted = norm_stats.norm_stats_of([recorded], dataclasses.replace(MODEL, adapt_to_pi=True))
    # A shoulder that changes sign swaps its quantiles. An action gripper is stretched by 2.1123 and moved by -1.1689.
    np.testing.assert_allclose(adapted.state.q01[1], -plain.state.q99[1], rtol=1e-5)
    np.testing.assert_allclose(adapted.actions.mean[2], -plain.actions.mean[2], atol=1e-6)
    np.testing.assert_allclose(adapted.actions.q99[6], plain.actions.q99[6] * 2.1123 - 1.1689, atol=1e-5)


def test_absolute_actions_with_a_longer_state() -> None:
    model = dataclasses.replace(MODEL, delta_actions=False)
    recorded = episode(dims=(8, 7))
    result = norm_stats.norm_stats_of([recorded], model)
    assert (result.state.dim, result.actions.dim) == (8, 7)
    np.testing.assert_allclose(result.state.q01, np.quantile(recorded.states.astype(float), 0.01, axis=0))
    with pytest.raises(EpisodesError, match="state must have the 7 dimensions of the actions"):
        norm_stats.norm_stats_of([recorded], MODEL)


def test_all_episodes_count_by_their_steps() -> None:
    low, high = (Episode("constant", np.full((n, 7), v), np.full((n, 7), v), 50.0) for n, v in ((30, 0.0), (10, 1.0)))
    result = norm_stats.norm_stats_of([low, high], MODEL)
    np.testing.assert_allclose(result.state.mean, 0.25)


def test_dimensions_that_are_not_the_models_are_refused() -> None:
    with pytest.raises(EpisodesError, match=r"actions of 7 dimensions \(model.action_dim\), got 8 and 8 in made up"):
        norm_stats.norm_stats_of([episode(dims=(8, 8))], MODEL)
    with pytest.raises(EpisodesError, match="states of 7 .* got 8 and 7 in made up"):
        norm_stats.norm_stats_of([episode(), episode(dims=(8, 7))], MODEL)
    with pytest.raises(EpisodesError, match="at least one executed episode"):
        norm_stats.norm_stats_of([], MODEL)


def test_the_table_names_what_never_moves() -> None:
    recorded = episode()
    recorded.states[:, 3] = 0.25
    text = norm_stats.describe(norm_stats.norm_stats_of([recorded], MODEL))
    assert "  forearm_roll           0.2250   0.2750   0.2500   0.0000" in text
    assert text.splitlines()[0].split() == ["state", "q01", "q99", "mean", "std"]
    assert [line for line in text.splitlines() if "warning" in line] == [
        "warning: forearm_roll of the state moves by less than 0.05, so its range is widened to 0.05"
    ]


def test_a_vector_of_no_arm_has_numbers_and_a_small_range_is_enough() -> None:
    recorded = episode(dims=(3, 7))
    recorded.states[:, 0] *= 0.04  # a range of about 0.08, which is above the smallest
    text = norm_stats.describe(norm_stats.norm_stats_of([recorded], dataclasses.replace(MODEL, delta_actions=False)))
    assert [line.split()[0] for line in text.splitlines()[:4]] == ["state", "0", "1", "2"]
    assert "warning" not in text


def test_the_command_prints_and_writes_norm_stats_and_replaces_none(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_hdf5(tmp_path / "episode_0.hdf5", 40)
    write_hdf5(tmp_path / "episode_1.hdf5", 20)
    output = tmp_path / "assets" / "mine"
    arguments = ["norm-stats", str(tmp_path), "--output", str(output), "--action_horizon", "4", "--no_adapt_to_pi"]
    arguments += ["--insist", *IMPLAUSIBLE]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "left waist" in printed and "right gripper" in printed
    assert "2 episodes, 60 steps; for action_horizon 4, adapt_to_pi False, delta_actions True" in printed
    written = NormStats.load(output)
    # Joint 0 of the states is 0, 0.14 .. 39 * 0.14 and 0 .. 19 * 0.14.
    waist = np.concatenate([np.arange(40), np.arange(20)]) * 0.14
    np.testing.assert_allclose([written.state.mean[0], written.state.q99[0]], [waist.mean(), np.quantile(waist, 0.99)])
    assert main(arguments) == 2
    assert "--output must not have a norm_stats.json yet" in capsys.readouterr().err


def test_the_stride_thins_out(tmp_path: pathlib.Path) -> None:
    write_hdf5(tmp_path / "episode_0.hdf5", 40)
    arguments = ["norm-stats", str(tmp_path / "episode_0.hdf5"), "--output", str(tmp_path / "thin"), "--stride", "20"]
    assert main([*arguments, "--no_adapt_to_pi", "--insist", *IMPLAUSIBLE]) == 0
    # Only the states 0 and 20 count, which are 0 and 2.8.
    np.testing.assert_allclose(NormStats.load(tmp_path / "thin").state.mean[0], 1.4, rtol=1e-6)


def test_bad_input_is_one_line(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["norm-stats", "recordings", "--output", str(tmp_path / "out"), "--stride", "0"])
    assert "--stride must be at least 1, got 0" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["norm-stats", str(tmp_path / "none"), "--output", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()
    assert capsys.readouterr().err.startswith("chunk_ppo norm-stats: episodes must be a file or folder")
