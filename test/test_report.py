"""Tests the summary and the learning curve of a made-up run."""

from __future__ import annotations

import dataclasses
import json
import struct

import numpy as np
import pytest

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.reporting import plots
from chunk_ppo_ros.reporting.curves.episodes import Episodes
from chunk_ppo_ros.reporting.curves.updates import Updates
from chunk_ppo_ros.reporting.metrics_log import MetricsLog
from chunk_ppo_ros.reporting.page.changed_settings import nearest_preset
from chunk_ppo_ros.reporting.page.provenance import duration
from chunk_ppo_ros.reporting.page.run_data import RunData
from chunk_ppo_ros.reporting.report import write_report
from chunk_ppo_ros.reporting.run_metrics import episode_metrics, run_time_metrics

UPDATE = Metrics(
    {
        "ratio/mean": 1.0,
        "ratio/min": 0.7,
        "ratio/max": 1.4,
        "ratio/clip_fraction": 0.25,
        "kl/approx": 0.01,
        "logp_gap/max_ratio": 1e-6,
        "value/explained_variance": float("nan"),
    }
)


@dataclasses.dataclass(frozen=True)
class Counters:
    num_chunks: int
    num_steps: int
    policy_version: int


def make_config(tmp_path, **ppo):
    run = config_lib.RunConfig(exp_name="name", checkpoint_root=str(tmp_path / "checkpoints"), wandb=False)
    preset = config_lib.PRESETS["debug"]
    return dataclasses.replace(preset, run=run, ppo=dataclasses.replace(preset.ppo, **ppo))


def write_run(tmp_path, *, num_updates=4, start="fresh weights", is_fallback=False, evaluations=(), **more):
    """Writes four episodes of two chunks an update. From the third update on they succeed."""
    origin = {"start": start, "is_fallback": is_fallback, **more}
    run_dir = tmp_path / "runs" / "name"
    with MetricsLog.open(run_dir, config=make_config(tmp_path), run_id="name-1", **origin) as log:
        for number in range(num_updates):
            success = number >= 2
            for episode in range(4 * number, 4 * number + 4):
                record = episode_metrics(episode=episode, total_reward=1.0 + success, success=success, num_chunks=2)
                log.write("episode", record, counters=Counters(8 * number, 128 * number, number))
            times = run_time_metrics({"wall": 30.0 * number + 30.0, "running": 60.0, "motion": 30.0})
            log.write("update", UPDATE | times, counters=Counters(8 * (number + 1), 128 * (number + 1), number + 1))
        for chunks, evaluation in evaluations:
            counters = Counters(chunks, 16 * chunks, chunks // 8)
            log.write("evaluation", evaluation.metrics, counters=counters, labels=evaluation.labels)
    return run_dir


@dataclasses.dataclass(frozen=True)
class MadeUpEvaluation:
    labels: dict[str, str]
    metrics: Metrics


def evaluation(step, success, **more):
    labels = {"checkpoint": f"checkpoints/name/step_{step}", "decoding": "sample"}
    numbers = {
        "episodes": 64,
        "success_mean": success,
        "success_low": success - 0.1,
        "success_high": success + 0.1,
        "reward_mean": 1.5,
        "reward_low": 1.25,
        "reward_high": 1.75,
        **more,
    }
    named = ({f"evaluation/{name}": value for name, value in values.items()} for values in (labels, numbers))
    return MadeUpEvaluation(next(named), Metrics(next(named)))


def test_summary_says_what_was_run_and_what_came_of_it(tmp_path):
    test = {"difference": 0.25, "p_greater": 1.85e-34, "p_two_sided": 0.0246, "num_pairs": 64}
    run_dir = write_run(tmp_path, evaluations=[(0, evaluation(0, 0.25)), (32, evaluation(4, 0.5, **test))])
    text = write_report(run_dir).read_text()
    for line in (
        "# name",
        "| run | name-1 |",
        "| task | reach, simulator kinematic |",
        "| configuration | debug |",
        "| start | fresh weights |",
        "| trained on | 4 updates, 32 chunks, 512 control steps |",
        "| finished episodes | 16 |",
        "| | first 8 episodes, first update | last 8 episodes, last update |",
        "| episodes solved, sampled | 0.0% | 100.0% |",
        "| reward of an episode | 1.000 | 2.000 |",
        "| `value/explained_variance` | undefined | undefined |",
        "| the whole run | 2.0 | 100.0% |",
        "| an episode ran | 1.0 | 50.0% |",
        "| the robot was in motion, in simulated time | 0.5 | |",
        "| step_0 | sampled | 64 | 25.0% [15.0%, 35.0%] | 1.500 [1.250, 1.750] |",
        "| step_4 | sampled | 64 | 50.0% [40.0%, 60.0%] | 1.500 [1.250, 1.750] |",
        "Success of step_4 against the one before it, paired by start: +25.0 points, p = 1.85e-34 one-sided, "
        "p = 0.0246 two-sided.",
        "![Learning curve](learning_curve.png)",
    ):
        assert line in text.splitlines()
    assert "|\n\nSuccess of step_4 against" in text  # The table ends before the sentence begins.
    assert len(text.splitlines()) < 60  # one page


def test_the_summary_says_how_long_the_run_took_on_what_and_how_to_go_on(tmp_path):
    run_dir = write_run(tmp_path, form="train")
    lines = write_report(run_dir).read_text().splitlines()
    assert f"| duration | {duration(RunData.read(run_dir))} |" in lines  # as on the page
    (software,) = [line for line in lines if line.startswith("| software |")]
    assert "chunk_ppo_ros " in software
    place = lines.index("## How to go on")
    assert lines[place + 2] == "Go on with this run:"
    assert lines[place + 5].startswith("chunk_ppo train --config debug") and "--resume" in "".join(lines[place:])
    assert "## How to go on" not in write_report(write_run(tmp_path / "older")).read_text()


def test_the_summary_says_what_to_change_in_the_command_where_the_run_is_complete(tmp_path, monkeypatch):
    monkeypatch.setattr(RunData, "is_complete", True)
    text = write_report(write_run(tmp_path, form="train")).read_text()
    assert "This run is complete. To go on with it, raise --total_timesteps in this command:\n\n```bash\n" in text


def test_the_curve_is_a_picture_and_nothing_unfinished_is_left(tmp_path):
    run_dir = write_run(tmp_path)
    write_report(run_dir)
    content = (run_dir / "learning_curve.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", content[16:24])
    assert (width, height) == (1210, 1100)
    assert sorted(path.name for path in run_dir.iterdir()) == [
        "learning_curve.png",
        "metrics.jsonl",
        "report.html",
        "summary.md",
    ]


def test_updates_that_were_undone_are_marked(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "save", lambda figure, path, dpi: drawn.append(figure))
    accepted = (1.0, 0.0, 1.0, 0.0)
    updates = [
        {**UPDATE, "kl/after": 0.1 * number, "num_chunks": 8 * number, "update/accepted": kept}
        for number, kept in enumerate(accepted)
    ]
    given = {"updates": Updates.of(updates), "episodes": Episodes(0), "evaluations": (), "clip_range": (0.8, 1.2)}
    plots.draw_learning_curve(tmp_path / "curve.png", title="run", **given)
    (marks,) = (line for axis in drawn[0].axes for line in axis.lines if line.get_label() == "undone")
    np.testing.assert_allclose(marks.get_xydata(), [[8, 0.1], [24, 0.3]])


def drawing(monkeypatch, tmp_path, **records):
    """Returns the six panels of a curve, row by row."""
    drawn = []
    monkeypatch.setattr(plots, "save", lambda figure, path, dpi: drawn.append(figure))
    made = {"updates": Updates.of(records.get("updates", ())), "episodes": Episodes.of(records.get("episodes", ()))}
    given = {"evaluations": (), "clip_range": (0.8, 1.25), **records, **made}
    plots.draw_learning_curve(tmp_path / "curve.png", title="my run", **given)
    return drawn[0], drawn[0].axes


def points(axis, label):
    (line,) = (line for line in axis.lines if line.get_label() == label)
    return line.get_xydata()


def test_the_panels_show_the_records(tmp_path, monkeypatch):
    updates = [
        {**UPDATE, "kl/after": 0.1 * number, "value/explained_variance": 0.5, "num_chunks": 8 * number}
        for number in (1, 2)
    ]
    episodes = [
        {"episode/num_chunks": 2, "episode/success": float(number >= 2), "episode/total_reward": float(number)}
        for number in range(4)
    ]
    measured = {"num_chunks": 6, **evaluation(6, 0.5).labels, **evaluation(6, 0.5).metrics}
    figure, panels = drawing(monkeypatch, tmp_path, updates=updates, episodes=episodes, evaluations=[measured])
    success, reward, ratio, clipped, explained, moved = panels
    assert figure.get_suptitle() == "my run"
    assert [panel.get_title() for panel in panels] == [
        "Episodes solved, sampled while training",
        "Reward of an episode",
        "Ratio of new to old probability",
        "Ratios outside the clip range",
        "Explained variance of the value",
        "KL from before to after an update (k2), nats a chunk",
    ]
    # There are four episodes of two chunks. Means over fewer than two are not drawn: (0 + 0 + 1) / 3 and (0 + 0 + 1 +
    # 1) / 4.
    mean = f"mean of the last {plots.WINDOW} episodes"
    np.testing.assert_allclose(points(success, mean), [[6, 1 / 3], [8, 0.5]])
    np.testing.assert_allclose(points(reward, mean), [[6, 1.0], [8, 1.5]])
    np.testing.assert_allclose(points(reward, "an episode"), [[2, 0], [4, 1], [6, 2], [8, 3]])
    assert [line.get_label() for line in success.lines if line.get_label() == "an episode"] == []
    for panel, (low, middle, high) in ((success, (0.4, 0.5, 0.6)), (reward, (1.25, 1.5, 1.75))):
        (bars,) = panel.containers
        np.testing.assert_allclose(bars.lines[0].get_xydata(), [[6, middle]])
        np.testing.assert_allclose(bars.lines[2][0].get_segments(), [[[6, low], [6, high]]])
    np.testing.assert_allclose(points(ratio, "mean"), [[8, 1], [16, 1]])
    assert [line.get_ydata()[0] for line in ratio.lines if line.get_linestyle() == "--"] == [0.8, 1.25]
    (band,) = ratio.collections
    np.testing.assert_allclose(band.get_datalim(ratio.transData).intervaly, [0.7, 1.4])
    assert (ratio.get_yscale(), ratio.get_ylim()) == ("log", (0.45, 2.2))
    np.testing.assert_allclose(clipped.lines[0].get_xydata(), [[8, 0.25], [16, 0.25]])
    np.testing.assert_allclose(explained.lines[0].get_xydata(), [[8, 0.5], [16, 0.5]])
    np.testing.assert_array_equal(explained.lines[1].get_ydata(), [0.0, 0.0])
    np.testing.assert_allclose(moved.lines[0].get_xydata(), [[8, 0.1], [16, 0.2]])
    assert clipped.get_ylim()[0] == moved.get_ylim()[0] == 0.0
    assert success.get_ylim() == (-0.03, 1.03)
    assert [panel.get_xlabel() for panel in panels] == [""] * 4 + ["chunks"] * 2
    assert [panel.get_legend() is not None for panel in panels] == [True, True, True, False, False, False]
    assert not any(text.get_text() == "no records" for panel in panels for text in panel.texts)
    assert not any(panel.spines[side].get_visible() for panel in panels for side in ("top", "right"))


def test_a_ratio_far_off_widens_the_panel_and_panels_without_records_say_so(tmp_path, monkeypatch):
    far = {**UPDATE, "ratio/min": 0.1, "ratio/max": 10.0, "ratio/clip_fraction": None, "num_chunks": 8}
    _, panels = drawing(monkeypatch, tmp_path, updates=[far])
    np.testing.assert_allclose(panels[2].get_ylim(), [0.095, 10.5])
    empty = [[text.get_text() for text in panel.texts] == ["no records"] for panel in panels]
    assert empty == [True, True, False, True, False, True]  # The panel of the variance has its line at 0.


def test_the_curve_has_the_clip_range_of_the_run(tmp_path, monkeypatch):
    ranges = []
    monkeypatch.setattr(plots, "draw_learning_curve", lambda path, *, clip_range, **_: ranges.append(clip_range))
    for number, ppo in enumerate(({"clip_coef": 0.1}, {"clip_coef": 0.1, "clip_coef_high": 0.3})):
        with MetricsLog.open(tmp_path / str(number), config=make_config(tmp_path, **ppo), run_id="name-1") as log:
            record = episode_metrics(episode=0, total_reward=3.0, success=True, num_chunks=2)
            log.write("episode", record, counters=Counters(0, 0, 0))
            log.write("update", UPDATE, counters=Counters(8, 128, 1))
        text = write_report(tmp_path / str(number)).read_text()
        assert "| | first episode, first update | last episode, last update |" in text
        assert f"| metrics | `{tmp_path / str(number) / 'metrics.jsonl'}` |" in text
        assert f"| checkpoints | `{tmp_path / 'checkpoints' / 'name'}` |" in text
    np.testing.assert_allclose(ranges, [(0.9, 1.1), (0.9, 1.3)])


def test_a_run_without_updates_has_a_report(tmp_path):
    run_dir = write_run(tmp_path, num_updates=0)
    text = write_report(run_dir).read_text()
    assert "| trained on | 0 updates, 0 chunks, 0 control steps |" in text
    assert "## Training" not in text
    assert "## Evaluation" not in text


@pytest.mark.parametrize("missing", ["ratio/max", "kl/approx", "value/explained_variance", "all of them"])
def test_updates_without_a_metric_are_reported_as_far_as_they_go(tmp_path, missing):
    run_dir = write_run(tmp_path)
    fewer = Metrics({name: value for name, value in UPDATE.items() if missing not in (name, "all of them")})
    with MetricsLog.open(run_dir, config=make_config(tmp_path), run_id="name-2") as log:  # a run of its own
        record = episode_metrics(episode=0, total_reward=3.0, success=True, num_chunks=2)
        log.write("episode", record, counters=Counters(0, 0, 0))
        log.write("update", fewer, counters=Counters(8, 128, 1))
    text = write_report(run_dir).read_text()
    assert ("| `kl/approx` | not recorded | not recorded |" in text) == (missing in ("kl/approx", "all of them"))
    assert ("| `kl/approx` | 0.01 | 0.01 |" in text) == (missing not in ("kl/approx", "all of them"))


def test_a_fallback_start_stands_out(tmp_path):
    start = "fresh weights, because somewhere could not be loaded: no such folder"
    text = write_report(write_run(tmp_path, start=start, is_fallback=True)).read_text()
    assert f"| start | **{start}** |" in text


def test_a_run_of_before_the_start_was_recorded_says_so(tmp_path):
    run_dir = write_run(tmp_path)
    file = run_dir / "metrics.jsonl"
    records = [json.loads(line) for line in file.read_text().splitlines()]
    for record in records:
        record.pop("start", None), record.pop("is_fallback", None)
    file.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    assert "| start | not recorded |" in write_report(run_dir).read_text()


def test_what_is_repeated_after_a_crash_counts_once(tmp_path):
    run_dir = write_run(tmp_path)
    with MetricsLog.open(run_dir, config=make_config(tmp_path), run_id="name-1") as log:
        log.write("update", UPDATE, counters=Counters(32, 500, 4))
        record = episode_metrics(episode=15, total_reward=3.0, success=True, num_chunks=2)
        log.write("episode", record, counters=Counters(24, 384, 3))
    text = write_report(run_dir).read_text()
    assert "It was resumed once, at policy version 4." in text
    assert "| trained on | 4 updates, 32 chunks, 500 control steps |" in text
    assert "| finished episodes | 16 |" in text


def test_nearest_preset_names_what_differs(tmp_path):
    settings = config_lib.to_dict(make_config(tmp_path, gamma=0.5))
    assert nearest_preset(settings) == "debug with ppo.gamma=0.5"
    assert nearest_preset(config_lib.to_dict(config_lib.PRESETS["full"])) == "full"


def test_no_metrics_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_report(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"kind": "update"}\n')
    with pytest.raises(ValueError, match="must begin with a record of kind 'run'"):
        write_report(tmp_path)
