"""Tests what is read of a run's metrics: what counts after a crash, and that memory does not grow with the run."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.reporting.curves.episodes import PROMPT
from chunk_ppo_ros.reporting.curves.thinned import MAX_PARTS
from chunk_ppo_ros.reporting.page.run_data import MAX_EVALUATIONS, RunData
from chunk_ppo_ros.reporting.report import write_report

START = {"kind": "run", "run_id": "r", "time": 1.0, "config": config_lib.to_dict(config_lib.PRESETS["debug"])}


def update(version: int, **more: object) -> dict[str, Any]:
    counted = {"num_chunks": 8 * version, "num_steps": 128 * version, "policy_version": version}
    return {"kind": "update", "time": 1.0 + version, **counted, **more}


def episode(number: int, version: int = 0, **more: object) -> dict[str, Any]:
    own = {"episode/episode": number, "episode/success": 1.0, "episode/total_reward": 1.0, "episode/num_chunks": 2}
    return {**update(version), "kind": "episode", **own, **more}


def write(folder: Path, records: Iterable[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def test_what_was_made_again_after_a_crash_counts_as_it_was_made_last(tmp_path: Path) -> None:
    first = [START, update(1, a=1.0), episode(0, 1), update(2, a=2.0), episode(5, 2), episode(4, 2)]
    again = [START, update(2, a=20.0), episode(4, 2, **{"episode/total_reward": 9.0}), update(3, a=30.0)]
    run = RunData.read(write(tmp_path, [*first, *again]))
    assert run.updates.curves.line("a")[1].tolist() == [1.0, 20.0, 30.0]
    assert run.episodes.curves.line("episode/total_reward")[1].tolist() == [1.0, 1.0, 9.0]
    assert (run.starts.resumed_at, run.num_steps) == ([2], 384)


def test_the_episodes_of_a_prompt_count_once(tmp_path: Path) -> None:
    prompts = [{PROMPT: prompt} for prompt in "abab"]
    records = [episode(number, **prompts[number]) for number in range(4)]
    run = RunData.read(write(tmp_path, [START, *records, START, records[3]]))
    assert {prompt: len(own) for prompt, own in run.episodes.by_prompt.items()} == {"a": 2, "b": 2}


def test_the_first_and_the_newest_of_many_evaluations_are_kept(tmp_path: Path) -> None:
    ends = {f"evaluation/{name}_{end}": 0.5 for name in ("success", "reward") for end in ("low", "mean", "high")}
    labels = {"evaluation/decoding": "greedy", "evaluation/episodes": 8}
    records = [
        {**update(number), "kind": "evaluation", **labels, **ends, "evaluation/checkpoint": f"step_{number}"}
        for number in range(MAX_EVALUATIONS + 50)
    ]
    run = RunData.read(write(tmp_path, [START, *records]))
    shown = [record["policy_version"] for record in run.evaluations]
    assert (run.num_evaluations, len(shown), shown[0], shown[1], shown[-1]) == (250, 200, 0, 51, 249)
    write_report(tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert "Of 250 evaluations, the first one and the newest 199 are shown." in text


def peak_of_reading(folder: Path) -> int:
    """Returns the largest memory that Python took while a run was read, bytes."""
    tracemalloc.start()
    RunData.read(folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_run(tmp_path: Path) -> None:
    """Records that are held take several times the space that they take in the file."""
    metrics = {f"metric number {name}": 0.123456789 for name in range(12)}
    folder = write(tmp_path, [START, *(update(version, **metrics) for version in range(5 * MAX_PARTS))])
    assert peak_of_reading(folder) < 0.4 * (folder / "metrics.jsonl").stat().st_size


def test_the_page_of_a_long_run_is_not_larger_and_shows_a_spike(tmp_path: Path) -> None:
    sizes = []
    for number in (1, 8):
        folder = tmp_path / str(number)
        count = number * MAX_PARTS
        values = ({"kl/after": 50.0 if version == count // 3 else 0.25} for version in range(count))
        records = [
            record for version, own in enumerate(values) for record in (update(version, **own), episode(version))
        ]
        write_report(write(folder, [START, *records]))
        page = (folder / "report.html").read_text()
        assert ("of every 8 points the lowest and the highest are drawn" in page) == (number == 8)
        charts = json.loads(page.partition('id="charts">')[2].partition("</script>")[0])
        drawn = [series for chart in charts for series in chart["series"] if series["label"] == "kl/after"]
        assert max(value for value in drawn[0]["y"] if value is not None) == 50.0
        sizes.append(len(page))
    assert sizes[1] < 2.5 * sizes[0]


@pytest.mark.parametrize("missing", ["env", "ppo", "run"])
def test_settings_that_lack_a_section_are_an_error_of_one_line(tmp_path: Path, missing: str) -> None:
    settings = {name: section for name, section in START["config"].items() if name != missing}
    with pytest.raises(
        ValueError, match=f"must have the settings of a version of this package, got none for .*{missing}"
    ):
        RunData.read(write(tmp_path, [{**START, "config": settings}]))
