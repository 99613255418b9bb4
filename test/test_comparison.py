"""Tests the page that compares runs, its groups of seeds and its intervals."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from chunk_ppo_ros.__main__ import main
from chunk_ppo_ros.config import PRESETS, RunConfig
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.reporting.metrics_log import MetricsLog
from chunk_ppo_ros.reporting.page.run_data import RunData
from chunk_ppo_ros.reporting.page.seed_groups import Group, differing_settings, group_runs, interval_text, mean_curve
from chunk_ppo_ros.reporting.run_metrics import episode_metrics


def write_run(
    folder: Path,
    name: str,
    *,
    seed: int = 0,
    gamma: float = 0.99,
    prompt: str = "",
    rewards: tuple[float, ...] = (0.0, 1.0),
) -> Path:
    run = RunConfig(exp_name=name, run_dir=str(folder), seed=seed, prompt=prompt, wandb=False)
    preset = PRESETS["debug"]
    config = dataclasses.replace(preset, run=run, ppo=dataclasses.replace(preset.ppo, gamma=gamma))
    with MetricsLog.open(run.folder, config=config, run_id=name) as log:
        for number, reward in enumerate(rewards):
            before = Counters(name, number, 8 * number, 128 * number)
            episode = episode_metrics(episode=number, total_reward=reward, success=reward > 0.5, num_chunks=8)
            log.write("episode", episode, counters=before)
            after = Counters(name, number + 1, 8 * number + 8, 128 * number + 128)
            log.write("update", Metrics({"reward/chunk_mean": reward}), counters=after)
    return run.folder


def curve(run: RunData) -> tuple[np.ndarray, np.ndarray]:
    return run.updates.curves.mean("reward/chunk_mean")


def test_runs_of_the_same_seed_are_named(tmp_path: Path) -> None:
    warning = "Some runs have the same seed, in group A. An interval over them is not one over seeds."
    runs = [write_run(tmp_path, name, seed=seed) for name, seed in (("a", 1), ("b", 2), ("c", 2))]
    page = tmp_path / "page.html"
    for folders, is_there in ((runs, True), (runs[:2], False)):
        assert main(["report", *map(str, folders), "--to", str(page)]) == 0
        assert (warning in page.read_text()) == is_there


def test_the_place_of_a_comparison_is_checked_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(write_run(tmp_path, name)) for name in "ab"]
    assert main(["report", *runs, "--to", str(tmp_path)]) == 2
    assert f"--to must be a file, got the folder {tmp_path}; add the name of the file" in capsys.readouterr().err


def test_metrics_that_a_run_has_not_begun_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that is killed early, or whose folder was on a full disk, leaves an empty file or a part of a line."""
    run = write_run(tmp_path, "a")
    for content in ("", '{"kind": "run", "run'):
        (run / "metrics.jsonl").write_text(content)
        assert main(["report", str(run)]) == 2
        assert "must have the record of a start, got no whole line; the run ended before" in capsys.readouterr().err


def test_runs_that_differ_in_the_seed_only_are_a_group(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path, "a", seed=0),
        write_run(tmp_path, "other", gamma=0.5),
        write_run(tmp_path, "b", seed=1),
    ]
    groups = group_runs([RunData.read(folder) for folder in folders])
    assert [(group.name, group.label) for group in groups] == [
        ("group A", "debug"),
        ("group B", "debug with ppo.gamma=0.5"),
    ]
    assert differing_settings(groups) == {"ppo.gamma": [0.99, 0.5]}
    assert [[run.name for run in group.runs] for group in groups] == [["a", "b"], ["other"]]


def test_runs_of_two_prompts_are_two_groups(tmp_path: Path) -> None:
    """They learned two tasks, so their mean would say nothing about seeds."""
    folders = [write_run(tmp_path, "cup", prompt="lift the cup"), write_run(tmp_path, "door", prompt="open the door")]
    groups = group_runs([RunData.read(folder) for folder in folders])
    assert [[run.name for run in group.runs] for group in groups] == [["cup"], ["door"]]
    assert differing_settings(groups) == {"run.prompt": ["lift the cup", "open the door"]}


def test_the_interval_over_seeds_by_hand(tmp_path: Path) -> None:
    """At 16 chunks the values are 1, 2 and 6: the mean is 3, the deviation sqrt(7), and t(0.975, 2) is 4.302653.

    Half the interval is 4.302653 sqrt(7) / sqrt(3) = 6.572411. Midway to the values 0 at 8 chunks, all of them halve.
    """
    folders = [write_run(tmp_path, f"s{last:g}", rewards=(0.0, last)) for last in (1.0, 2.0, 6.0)]
    found = mean_curve(Group("group A", "", tuple(map(RunData.read, folders))), curve)
    assert found is not None
    assert (found.x[0], found.x[-1]) == (8.0, 16.0)
    np.testing.assert_allclose([found.mean[-1], found.low[-1], found.high[-1]], [3.0, -3.572411, 9.572411], atol=1e-5)
    middle = [np.interp(12.0, found.x, column) for column in (found.mean, found.low, found.high)]
    np.testing.assert_allclose(middle, [1.5, -1.786205, 4.786205], atol=1e-5)
    assert interval_text([1.0, 2.0, 6.0], ".2f") == "3.00 [-3.57, 9.57]"


@pytest.mark.parametrize(
    ("values", "text"),
    [((), "none"), ((0.5,), "50%"), ((0.25, 0.25), "25% in all 2 runs"), ((0.0, 1.0), "50% [0%, 100%]")],
    ids=["none", "one", "equal", "beyond the shares"],
)
def test_an_interval_says_no_more_than_is_known(values: tuple[float, ...], text: str) -> None:
    assert interval_text(values, ".0%", is_share=True) == text


def test_a_curve_ends_where_its_shortest_run_ends(tmp_path: Path) -> None:
    folders = [write_run(tmp_path, "long", rewards=(0.0, 1.0, 2.0)), write_run(tmp_path, "short", rewards=(0.0, 1.0))]
    found = mean_curve(Group("group A", "", tuple(map(RunData.read, folders))), curve)
    assert found is not None and found.x[-1] == 16.0
    new = RunData.read(write_run(tmp_path, "without an update", rewards=()))
    with_new = mean_curve(Group("group A", "", (*map(RunData.read, folders), new)), curve)
    assert with_new is not None and with_new.num_runs == 2
    assert mean_curve(Group("group A", "", (RunData.read(write_run(tmp_path, "new", rewards=())),)), curve) is None


def test_the_command_compares_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("one", "<two>")):
        write_run(tmp_path / "runs", name, seed=seed, rewards=(0.0, 1.0, float(seed)))
    assert main(["report", "one"]) == 0
    assert main(["report", "one", "<two>"]) == 0
    assert capsys.readouterr().out.endswith("wrote runs/comparison.html, which compares 2 runs; open it in a browser\n")
    text = (tmp_path / "runs" / "comparison.html").read_text()
    assert '<a href="one/report.html">one</a>' in text
    assert "&lt;two&gt;" in text and "<two>" not in text
    charts = json.loads(re.search(r'id="charts">(.*?)</script>', text, re.DOTALL)[1])
    labels = [series["label"] for chart in charts for series in chart["series"]]
    assert {"group A, mean of 2", "group A, 95 % interval", "one (group A)", "<two> (group A)"} <= set(labels)
    assert main(["report", "one", "<two>", "--to", "new/place.html"]) == 0
    assert (tmp_path / "new" / "place.html").is_file()
    assert main(["report", "one", "--to", "new/place.html"]) == 2
    assert "--to must be given with several runs" in capsys.readouterr().err


def test_a_run_without_a_trainer_names_the_files_that_show_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "deployed"
    folder.mkdir(parents=True)
    (folder / "episodes.jsonl").write_text("")
    assert main(["report", "deployed"]) == 2
    assert "read runs/deployed/episodes.jsonl (a line for each episode); where two" in capsys.readouterr().err
    (folder / "results.txt").write_text("success\n")
    assert main(["report", str(folder)]) == 2
    printed = capsys.readouterr().err
    assert "a run without a trainer (deploy, or evaluate --graph), which has no curves" in printed
    assert f"read {folder}/results.txt (the result so far) and {folder}/episodes.jsonl (a line for each" in printed
    assert main(["report", "nothing"]) == 2
    assert "got 'nothing'; the runs here are none" in capsys.readouterr().err


def test_a_run_is_compared_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "runs", "one")
    assert main(["report", "one", "runs/one"]) == 2
    assert "each run must be named once to be compared, got one runs/one; leave one out" in capsys.readouterr().err
