"""Tests the table of metrics, its page, and the names that a training run logs."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros.agent.rollout_worker import EpisodeSummary
from chunk_ppo_ros.config import PPOConfig
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.prompts.weighted_prompt import WeightedPrompt
from chunk_ppo_ros.core.types import ObservationSource, RewardTerm, Transition
from chunk_ppo_ros.core_jax.value_distribution import ValueEstimate
from chunk_ppo_ros.evaluation.evaluate import EvaluationResult, compare
from chunk_ppo_ros.reporting.metric_table import DISTRIBUTIONS, METRICS, MetricRow
from chunk_ppo_ros.reporting.metric_table.page import page
from chunk_ppo_ros.reporting.run_metrics import (
    RUN_TIMES,
    RUNNING_WHEN_ROBOT_DIED,
    episode_metrics,
    prompt_metrics,
    run_time_metrics,
    safety_metrics,
    time_metrics,
)
from chunk_ppo_ros.rewards.terms import mean_shares
from chunk_ppo_ros.rl.optimizer import make_optimizer
from chunk_ppo_ros.rl.rollout import stack_transitions
from chunk_ppo_ros.rl.update import PPOUpdate
from chunk_ppo_ros.robot.chunk_length import length_metrics
from support import toy_policy

ROWS = [row for rows in METRICS.values() for row in rows]
CONFIG = PPOConfig(batch_size=2, num_epochs_per_update=1, bc_coef=0.1, ref_kl_coef=0.1)


def evaluate(params, observation, action_tokens, token_mask, *, temperature, actions):
    """Evaluates the toy policy, and takes an observation's value for that of a chunk."""
    plain = toy_policy.evaluate(params, observation, action_tokens, token_mask, temperature=temperature)
    return plain.replace(chunk_value=ValueEstimate.scalar(plain.value.mean))


def transitions() -> list[Transition]:
    made = [toy_policy.transition(number, human=number == 1, reward=float(number)) for number in range(2)]
    terms, source = (RewardTerm("<term>", 1.0),), ObservationSource(prompt="<prompt>")
    return [
        dataclasses.replace(
            one,
            chunk=dataclasses.replace(one.chunk, source=source),
            outcome=dataclasses.replace(one.outcome, reward_terms=terms),
        )
        for one in made
    ]


def update_metrics() -> Metrics:
    """Returns what the learner and trainer_node log of an update with all options on."""
    params, optimizer = toy_policy.init_params(), make_optimizer(CONFIG)
    update = PPOUpdate(evaluate, optimizer, CONFIG, reference={"logits": jnp.zeros(2)})
    result = update.run(params, optimizer.init(params), stack_transitions(transitions()), key=jax.random.key(0))
    shares = mean_shares(transition.outcome for transition in transitions())
    refused = Metrics({"transitions/refused": 0.0, "transitions/set_aside": 0.0})
    times = time_metrics(rollout=1.0, update=1.0) | all_run_times()
    lengths, prompts = length_metrics(transitions()), prompt_metrics(transitions(), [WeightedPrompt("<prompt>")])
    safety = safety_metrics(transitions())
    return result.metrics | lengths | safety | shares | prompts | times | refused


def all_run_times() -> Metrics:
    return run_time_metrics(dict.fromkeys(RUN_TIMES, 1.0)) | Metrics({RUNNING_WHEN_ROBOT_DIED: 1})


def evaluation_metrics() -> Metrics:
    columns = np.array([0, 1]), np.zeros(2), np.zeros(2), np.ones(2)
    result = EvaluationResult("step_1", "sample", *columns, prompts=("<prompt>",) * 2)
    return result.metrics() | compare(result, dataclasses.replace(result, success=np.array([1, 1]))).metrics()


def all_episode_metrics() -> Metrics:
    own = episode_metrics(episode=0, total_reward=1.0, success=True, num_chunks=2, intervened=False, prompt="<prompt>")
    return own | all_run_times()


@pytest.mark.parametrize(
    ("kind", "logged"),
    [("update", update_metrics), ("episode", all_episode_metrics), ("evaluation", evaluation_metrics)],
)
def test_what_is_logged_is_in_the_table_and_nothing_else_is(kind: str, logged: Callable[[], Metrics]) -> None:
    assert sorted(row.name for row in METRICS[kind]) == sorted(logged())


def test_the_histograms_of_an_update_are_in_the_table() -> None:
    assert sorted(row.name for row in DISTRIBUTIONS) == sorted(update_metrics().histograms)


def test_an_episode_of_the_script_form_is_in_the_table() -> None:
    names = {row.name for row in METRICS["episode"]}
    assert set(EpisodeSummary(0, 1.0, success=True, num_chunks=1, num_steps=16).metrics()) < names


def literals(path: Path) -> set[str]:
    """Returns the strings of a source file. A string with values in it has * in their place."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            found.add("".join(part.value if isinstance(part, ast.Constant) else "*" for part in node.values))
    return found


@pytest.mark.parametrize("row", [*ROWS, *DISTRIBUTIONS], ids=lambda row: row.name)
def test_a_metric_is_written_in_the_file_that_the_table_names(row: MetricRow, repository: Path) -> None:
    patterns = [
        re.escape(text).replace(r"\*", "[^/]+") for text in literals(repository / "chunk_ppo_ros" / row.computed_in)
    ]
    assert any(re.fullmatch(pattern, row.name) for pattern in patterns if "/" in pattern)


def test_the_rows_say_something_and_are_one_line() -> None:
    for rows in METRICS.values():
        assert len({row.name for row in rows}) == len(rows)
    meanings = {(row.name, row.unit, row.meaning, row.computed_in, row.good) for row in ROWS}
    assert len({row.name for row in ROWS}) == len(meanings)  # A name means the same in all records.
    for row in (*ROWS, *DISTRIBUTIONS):
        assert row.unit and row.meaning.endswith("."), row.name
        assert not row.good or row.good.endswith("."), row.name


def test_the_page_is_made_from_the_table(repository: Path) -> None:
    command = "python -m chunk_ppo_ros.reporting.metric_table.page > docs/metrics.md"
    assert (repository / "docs" / "metrics.md").read_text() == page(), f"the table has changed; run {command}"
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) == len(ROWS) + len(DISTRIBUTIONS)
    assert all(len(re.split(r"(?<!\\)\|", line)) == 7 for line in rows)  # five cells: none has a bar of its own
