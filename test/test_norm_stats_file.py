"""Tests which norm_stats.json files of openpi load, which are refused, and the sentence that says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chunk_ppo_ros import __main__
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.model.tokenization.assets import PolicyAssets
from chunk_ppo_ros.model.tokenization.normalization import NormStats
from support.small_policy import MODEL, make_tokenizer, save_openpi

STILL = {"mean": 0.0, "std": 0.0, "q01": 0.0, "q99": 0.0}


def make_part(dim: int, *, still: tuple[int, ...] = (), padded_to: int = 0) -> dict[str, list[float]]:
    """Returns statistics of joints within -1..1. Those of `still` are 0 in all, and so is the padding."""
    part = {"mean": [0.1] * dim, "std": [0.5] * dim, "q01": [-1.0] * dim, "q99": [1.0] * dim}
    for name, values in part.items():
        for index in still:
            values[index] = STILL[name]
        values += [0.0] * max(0, padded_to - dim)
    return part


def write(folder: Path, state: Any, actions: Any) -> Path:
    """Writes a file beside the tokenizers of the small policy, and returns the folder."""
    make_tokenizer().save(folder)
    (folder / "norm_stats.json").write_text(json.dumps({"norm_stats": {"state": state, "actions": actions}}))
    return folder


def load(folder: Path, **model: Any) -> NormStats:
    settings = {"adapt_to_pi": False, "delta_actions": False, "max_token_len": 120, "max_action_tokens": 90, **model}
    config = type(MODEL)(**{**{name: getattr(MODEL, name) for name in vars(MODEL)}, **settings})
    return PolicyAssets.find(folder).load_tokenizer(config).norm_stats


@pytest.mark.parametrize("still", [(13,), tuple(range(7, 14)), tuple(range(14))], ids=["last", "an arm", "all"])
@pytest.mark.parametrize("padded_to", [0, 32])
def test_joints_that_never_moved_load(tmp_path: Path, still: tuple[int, ...], padded_to: int) -> None:
    """openpi pads its statistics with zeros, which look like those of a joint that never moved (openpi#836)."""
    part = make_part(14, still=still, padded_to=padded_to)
    stats = load(write(tmp_path, part, part))
    assert (stats.state.dim, stats.actions.dim) == (14, 14)
    assert stats.actions.constant == still
    # The normalized value of 0 is -1, and whatever the policy gives, the joint stays where it always was.
    chunk = np.zeros((2, 14), np.float32)
    normalized = stats.actions.normalize(chunk)
    np.testing.assert_array_equal(normalized[:, list(still)], -1.0)
    np.testing.assert_allclose(stats.actions.unnormalize(np.ones((2, 14)))[:, list(still)], 0.0, atol=1.1e-6)


def test_constant_dimensions_are_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, make_part(14, still=(6, 13)), make_part(14, still=(13,)))
    load(folder)
    load(folder)
    assert capsys.readouterr().out.splitlines() == [
        f"{folder}/norm_stats.json: dimensions 6, 13 of the state have q01 = q99, so they never moved: any other value "
        "than theirs is the lowest or the highest of the prompt's numbers",
        f"{folder}/norm_stats.json: dimensions 13 of the actions have q01 = q99, so they never moved: the policy can "
        "only give them the value that they always had",
    ]


@pytest.mark.parametrize(("state_dim", "padded_to"), [(8, 0), (8, 32), (14, 0)])
def test_a_state_may_have_other_dimensions_than_the_actions(tmp_path: Path, state_dim: int, padded_to: int) -> None:
    folder = write(tmp_path, make_part(state_dim, padded_to=padded_to), make_part(7, padded_to=padded_to))
    stats = load(folder, action_dim=7)
    assert (stats.state.dim, stats.actions.dim) == (state_dim, 7)
    with pytest.raises(CheckpointError, match=r"does not fit the model's settings: state must have the 7 dimensions"):
        load(folder, action_dim=7, delta_actions=True)
    adapted = r"does not fit the model's settings: state \(model.adapt_to_pi\) must have a multiple of 7 dimensions"
    if state_dim == 8:
        with pytest.raises(CheckpointError, match=adapted):
            load(folder, action_dim=7, adapt_to_pi=True)


def test_a_last_state_that_never_moved_is_kept_where_nothing_is_padded(tmp_path: Path) -> None:
    stats = load(write(tmp_path, make_part(8, still=(7,)), make_part(7)), action_dim=7)
    assert (stats.state.dim, stats.state.constant) == (8, (7,))


@pytest.mark.parametrize("dims", [(14, 7), (7, 14), (15, 15)])
def test_statistics_of_other_actions_are_refused(tmp_path: Path, dims: tuple[int, int]) -> None:
    folder = write(tmp_path, make_part(dims[0]), make_part(dims[1]))
    wanted = 7 if dims[1] == 14 else 14
    with pytest.raises(
        CheckpointError, match=f"must have {wanted} dimensions .*, got {dims[0]} of the state and {dims[1]} of the act"
    ):
        load(folder, action_dim=wanted)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "swapped": ({"q01": [1.0] * 14, "q99": [-1.0] * 14}, r"q01\[0\] must be at most \w+.q99\[0\] \(-1.0\), got 1.0"),
    "one swapped": ({"q01": [-1.0] * 13 + [1.5]}, r"q01\[13\] must be at most \w+.q99\[13\] \(1.0\), got 1.5"),
    "negative std": ({"std": [0.1] * 3 + [-0.1] + [0.1] * 10}, r"std\[3\] must be at least 0, got -0.1"),
    "NaN": ({"q01": [float("nan")] * 14}, r"q01\[0\] of norm_stats must be finite, got NaN or infinity \(nan\)"),
    "infinite": ({"q99": [1.0, float("inf")] + [1.0] * 12}, r"q99\[1\] of norm_stats must be finite"),
    "beyond float32": ({"mean": [10**40] * 14}, r"mean\[0\] of norm_stats must be finite"),
    "text": ({"q99": ["1.0"] * 14}, r"q99\[0\] must be a number, got '1.0'"),
    "true": ({"q99": [True] * 14}, r"q99\[0\] must be a number, got True"),
    "null in a list": ({"q99": [None] * 14}, r"q99\[0\] must be a number, got None"),
    "nested": ({"q99": [[1.0] * 14]}, r"q99\[0\] must be a number, got \[1.0"),
    "one number": ({"q99": 1.0}, r"q99 must be a list of numbers, got 1.0"),
    "empty": ({"q99": []}, r"q99 must be a list of numbers, got \[\]"),
    "short": ({"q99": [1.0] * 13}, r"must have one length, got .*'q99': 13"),
    "null": ({"q01": None, "q99": None}, r"without \['\w+.q01', '\w+.q99'\]; statistics without quantiles are of pi0"),
}


@pytest.mark.parametrize("part", ["state", "actions"])
@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_number_is_refused_by_its_field(tmp_path: Path, part: str, case: str) -> None:
    change, text = WRONG[case]
    parts = {"state": make_part(14), "actions": make_part(14)}
    parts[part] |= change
    folder = write(tmp_path, parts["state"], parts["actions"])
    with pytest.raises(CheckpointError, match=rf"{folder}/norm_stats.json cannot be used: .*{text}") as refused:
        load(folder)
    assert part in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"norm_stats": 3}', '{"state": {}}', "[" * 100_000, "\ud800"])
def test_what_is_no_norm_stats_file_is_one_line_of_a_command(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save_openpi(tmp_path / "imitation")
    file = path / "assets" / "trossen" / "norm_stats.json"
    file.write_bytes(content.encode("utf-8", "surrogatepass"))
    assert __main__.main(["export", str(path), str(tmp_path / "new")]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith(f"chunk_ppo export: {file} cannot be used: ")
    assert not (tmp_path / "new").exists()
