"""Tests how the prompts of a run are counted apart: in the metrics of an update, on the run's page and in its plot."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from chunk_ppo_ros.config import PRESETS, RunConfig
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.core.prompts.weighted_prompt import WeightedPrompt
from chunk_ppo_ros.core.types import ObservationSource, Transition
from chunk_ppo_ros.evaluation.results import EvaluationResult
from chunk_ppo_ros.reporting import plots
from chunk_ppo_ros.reporting.curves.episodes import Episodes
from chunk_ppo_ros.reporting.curves.updates import Updates
from chunk_ppo_ros.reporting.metrics_log import MetricsLog
from chunk_ppo_ros.reporting.prompt_tables import prompt_table
from chunk_ppo_ros.reporting.report import write_report
from chunk_ppo_ros.reporting.run_metrics import episode_labels, episode_metrics, prompt_metrics
from support import toy_policy


def transition(prompt: str, reward: float) -> Transition:
    made = toy_policy.transition(0, human=False, reward=reward)
    return dataclasses.replace(made, chunk=dataclasses.replace(made.chunk, source=ObservationSource(prompt=prompt)))


def test_chunks_are_counted_for_each_prompt_with_their_mean_reward() -> None:
    rollout = [transition("cup", 1.0), transition("door", 5.0), transition("cup", 2.0)]
    prompts = [WeightedPrompt(text) for text in ("cup", "cube", "door")]
    assert dict(prompt_metrics(rollout, prompts)) == {
        "rollout/num_chunks/cup": 2,
        "rollout/num_chunks/cube": 0,
        "rollout/num_chunks/door": 1,
        "reward/chunk_mean/cup": 1.5,
        "reward/chunk_mean/door": 5.0,
    }


def episode(number: int, prompt: str, *, success: bool) -> Metrics:
    return episode_metrics(
        episode=number, total_reward=2.0 * success, success=success, num_chunks=3, intervened=False, prompt=prompt
    )


def test_an_episode_has_a_curve_of_its_prompt_where_the_run_has_several() -> None:
    assert episode(0, "cup", success=True)["episode/success/cup"] == 1.0
    assert not [name for name in episode(0, "", success=True) if name.startswith("episode/success/")]
    assert (episode_labels("cup"), episode_labels("")) == ({"episode/prompt": "cup"}, {})


def write_run(folder: Path, prompts: list[str]) -> str:
    """Writes eight episodes and an evaluation, and returns the run's page. The door fails at first, the cup never."""
    run = RunConfig(exp_name="name", run_dir=str(folder), checkpoint_root=str(folder), wandb=False)
    config = dataclasses.replace(PRESETS["debug"], run=run)
    with MetricsLog.open(run.folder, config=config, run_id="name-1") as log:
        for number in range(8):
            prompt = prompts[number % len(prompts)]
            metrics = episode(number, prompt, success=prompt == "cup" or number > 3)
            log.write("episode", metrics, counters=Counters("name-1"), labels=episode_labels(prompt))
        columns = np.array([True, False] * 2), np.array([1.0, 0.0] * 2), np.zeros(4), np.ones(4)
        apart = tuple(prompts * 2) if any(prompts) else ()
        result = EvaluationResult("runs/step_1", "greedy", *columns, prompts=apart)
        log.write("evaluation", result.metrics(), counters=Counters("name-1"), labels=result.labels)
    return write_report(run.folder).read_text()


def test_the_page_has_a_row_for_each_prompt(tmp_path: Path) -> None:
    page = write_run(tmp_path, ["cup", "door | gate"])
    assert "## Prompts" in page
    assert "| cup | 4 | 100.0% | 100.0% | 100.0% | 2.000 |" in page
    assert "| door \\| gate | 4 | 50.0% | 0.0% | 100.0% | 1.000 |" in page
    # Wilson's interval of 2 in 2 is 0.342372..1, and that of 0 in 2 is 0..0.657628.
    assert "| cup | | 2 | 100.0% [34.2%, 100.0%] | 1.000 [1.000, 1.000] |" in page
    assert "| door \\| gate | | 2 | 0.0% [0.0%, 65.8%] | 0.000 [0.000, 0.000] |" in page


def test_the_page_of_a_run_with_one_prompt_has_no_such_rows(tmp_path: Path) -> None:
    page = write_run(tmp_path, ["", ""])
    assert "Prompts" not in page
    assert "| | 2 |" not in page


def test_prompts_without_an_episode_have_no_table() -> None:
    assert prompt_table(Episodes(0)) == ""


def test_the_plot_has_a_curve_for_each_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The means over 1, 2, 3 and 4 episodes of each prompt begin at the third, as those over all begin at the fifth."""
    drawn: list[Figure] = []
    monkeypatch.setattr(plots, "save", lambda figure, path, **_: drawn.append(figure))
    long = "open the door of the refrigerator slowly"
    prompts = ["cup", long] * 4
    episodes = [
        {**episode(number, prompt, success=prompt == "cup" or number > 3), "episode/prompt": prompt}
        for number, prompt in enumerate(prompts)
    ]
    plots.draw_learning_curve(
        tmp_path / "plot.png",
        title="",
        updates=Updates(0),
        episodes=Episodes.of(episodes),
        evaluations=[],
        clip_range=(0.8, 1.2),
    )
    lines = {line.get_label(): line.get_xydata() for line in drawn[0].axes[0].lines}
    np.testing.assert_allclose(lines["cup"], [[15, 1.0], [21, 1.0]])
    np.testing.assert_allclose(lines["open the door of the refriger .."], [[18, 1 / 3], [24, 0.5]])


def test_many_prompts_have_no_curves_and_a_dollar_is_no_formula(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    save = plots.save
    monkeypatch.setattr(
        plots, "save", lambda figure, path, **sizes: (drawn.append(figure), save(figure, path, **sizes))
    )
    for number in (8, 9):
        prompts = [r"pay $\frac$ now", *(f"task {each}" for each in range(1, number))] * 2
        episodes = [
            {**episode(place, prompt, success=True), "episode/prompt": prompt} for place, prompt in enumerate(prompts)
        ]
        plots.draw_learning_curve(
            tmp_path / "plot.png",
            title="",
            updates=Updates(0),
            episodes=Episodes.of(episodes),
            evaluations=[],
            clip_range=(0.8, 1.2),
        )
    few, many = (len(figure.axes[0].lines) for figure in drawn)
    assert few - many == 8
