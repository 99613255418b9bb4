"""Tests that the learner accepts a rollout of its own shapes, and nothing of another shape."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from chunk_ppo_ros.agent.transition_checks import blank_rollout, check_transition
from chunk_ppo_ros.config import PRESETS
from chunk_ppo_ros.core.execution import ExecutionResult
from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.rl.rollout import stack_transitions

CONFIG = PRESETS["debug"]


def blank() -> Transition:
    return blank_rollout(CONFIG)[0]


def test_a_blank_rollout_fits() -> None:
    for transition in blank_rollout(CONFIG):
        check_transition(transition, CONFIG.model)


@pytest.mark.parametrize("name", ["images", "image_mask", "prompt_tokens", "prompt_mask", "state"])
def test_each_part_of_an_observation_must_have_its_shape(name: str) -> None:
    chunk = blank().chunk
    other = dataclasses.replace(chunk.observation, **{name: np.zeros((3, 1), np.float32)})
    with pytest.raises(ValueError, match=rf"observation.{name} must have shape \(.*\), got \(3, 1\)"):
        check_transition(
            dataclasses.replace(blank(), chunk=dataclasses.replace(chunk, observation=other)), CONFIG.model
        )


def changed(**changes: Any) -> Transition:
    """Returns the blank transition with changes of its parts, by dotted names with __ for the dot."""
    transition = blank()
    for name, value in changes.items():
        part, _, field = name.rpartition("__")
        inner = dataclasses.replace(getattr(transition, part), **{field: value}) if part else value
        transition = dataclasses.replace(transition, **{part or field: inner})
    return transition


@pytest.mark.parametrize("name", ["action_tokens", "token_mask", "token_log_probs", "actions"])
def test_each_part_of_a_chunk_must_have_its_shape(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} must have shape \(.*\), got \(3, 1\); both ends need one"):
        check_transition(changed(**{f"chunk__{name}": np.zeros((3, 1), np.float32)}), CONFIG.model)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("chunk__token_log_probs", np.full(CONFIG.model.max_action_tokens, np.nan)),
        ("chunk__actions", np.full((CONFIG.model.action_horizon, CONFIG.model.action_dim), np.inf)),
        ("chunk__value", float("nan")),
        ("next_value", float("inf")),
        ("outcome__reward", float("nan")),
    ],
)
def test_every_number_must_be_finite(name: str, value: object) -> None:
    with pytest.raises(ValueError, match="must be finite, got NaN or infinity"):
        check_transition(changed(**{name: value}), CONFIG.model)


def test_the_temperature_must_be_the_runs() -> None:
    with pytest.raises(ValueError, match="temperature must be 1.0, got 0.5; use one for both ends"):
        check_transition(changed(chunk__temperature=0.5), CONFIG.model)


def test_steps_are_within_the_horizon_and_within_what_was_asked() -> None:
    horizon = CONFIG.model.action_horizon
    for asked in (1, horizon):
        fits = {"chunk__num_steps_asked": asked, "outcome__execution": ExecutionResult.whole(asked)}
        check_transition(changed(**fits), CONFIG.model)
    check_transition(changed(outcome__execution=ExecutionResult.whole(1)), CONFIG.model)
    for asked in (0, horizon + 1):
        with pytest.raises(ValueError, match=rf"num_steps_asked must be within 1..{horizon}, got {asked}"):
            check_transition(changed(chunk__num_steps_asked=asked), CONFIG.model)
    with pytest.raises(ValueError, match=rf"num_steps must be within 1..{horizon} \(num_steps_asked\), got 0"):
        check_transition(changed(outcome__execution=ExecutionResult.whole(0)), CONFIG.model)


def test_a_blank_rollout_is_as_large_as_a_real_one() -> None:
    rollout = blank_rollout(CONFIG)
    assert [transition.id.sequence_number for transition in rollout] == list(range(CONFIG.ppo.num_chunks_per_update))
    batch = stack_transitions(rollout)
    assert batch.terminated.all() and batch.policy_mask.all() and not batch.human_mask.any()
    assert batch.observation.image_mask.all() and batch.observation.prompt_mask.all()
    for zeros in (batch.token_mask, batch.token_log_probs, batch.values, batch.next_values, batch.rewards):
        assert not np.any(zeros)


def test_no_more_steps_are_executed_than_were_asked() -> None:
    transition = blank()
    asked = dataclasses.replace(transition.chunk, num_steps_asked=4)
    with pytest.raises(ValueError, match=r"num_steps must be within 1..4 \(num_steps_asked\), got 16"):
        check_transition(dataclasses.replace(transition, chunk=asked), CONFIG.model)
