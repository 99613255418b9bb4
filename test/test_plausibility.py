"""Tests which numbers of a transition cannot be true."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from chunk_ppo_ros.agent.transition_checks import blank_rollout
from chunk_ppo_ros.config import PRESETS, PPOConfig, RewardConfig, TrainConfig
from chunk_ppo_ros.core.types import ObservationSource, RewardTerm, Transition
from chunk_ppo_ros.nodes.trainer.intake.plausibility import check_plausible

CONFIG = PRESETS["debug"]
MODEL = CONFIG.model


def histogram(**model: Any) -> TrainConfig:
    return dataclasses.replace(CONFIG, model=dataclasses.replace(MODEL, value_bins=11, **model))


def honest(**chunk: Any) -> Transition:
    """Returns a transition that a graph with the preset could make. Keywords change its chunk."""
    transition = blank_rollout(CONFIG)[0]
    mask = np.zeros(MODEL.max_action_tokens, bool)
    mask[0] = True
    return dataclasses.replace(transition, chunk=dataclasses.replace(transition.chunk, **{"token_mask": mask, **chunk}))


def rewarded(reward: float, *terms: RewardTerm) -> Transition:
    transition = honest()
    terms = terms or (RewardTerm("progress", reward),)
    return dataclasses.replace(
        transition, outcome=dataclasses.replace(transition.outcome, reward=reward, reward_terms=terms)
    )


def test_what_a_graph_makes_is_plausible() -> None:
    check_plausible(honest(), CONFIG)
    check_plausible(honest(human_driven=True, token_mask=np.zeros(MODEL.max_action_tokens, bool)), CONFIG)
    check_plausible(rewarded(-20.0), CONFIG)
    check_plausible(rewarded(2.0, RewardTerm("jerk", 180.0, -1.0), RewardTerm("success", 182.0)), CONFIG)
    check_plausible(honest(value=-9.99), histogram())


def test_a_sum_in_float32_counts_as_the_sum() -> None:
    terms = [RewardTerm(f"t{number}", float(np.float32(0.1)), float(np.float32(0.7))) for number in range(30)]
    check_plausible(rewarded(float(np.float32(2.1)), *terms), CONFIG)


@pytest.mark.parametrize("reward", [50.0, -50.0, 1e30, float("nan"), float("inf")])
def test_a_reward_beyond_the_range_is_not(reward: float) -> None:
    terms = (RewardTerm("progress", 0.0),)
    with pytest.raises(ValueError, match=r"reward must be within -20..20 \(reward.max_chunk_reward\), got"):
        check_plausible(rewarded(reward, *terms), CONFIG)


def test_the_range_of_rewards_is_a_setting() -> None:
    check_plausible(rewarded(50.0), dataclasses.replace(CONFIG, reward=RewardConfig(max_chunk_reward=50.0)))


def test_a_reward_that_contradicts_its_terms_is_not() -> None:
    with pytest.raises(ValueError, match=r"reward must be the sum of its terms \(1\), got 2"):
        check_plausible(rewarded(2.0, RewardTerm("progress", 0.5, 2.0)), CONFIG)
    with pytest.raises(ValueError, match="reward must be the sum of its terms"):
        check_plausible(
            dataclasses.replace(honest(), outcome=dataclasses.replace(honest().outcome, reward=1.0)), CONFIG
        )


def test_terms_that_cancel_each_other_do_not_hide_their_size() -> None:
    with pytest.raises(ValueError, match=r"term 'a' must add at most 200 .*, got 1e\+30"):
        check_plausible(rewarded(0.0, RewardTerm("a", 1e30), RewardTerm("b", -1e30)), CONFIG)


def test_terms_have_few_and_short_names() -> None:
    with pytest.raises(ValueError, match="at most 100 terms, got 101"):
        check_plausible(rewarded(0.0, *(RewardTerm(f"t{number}", 0.0) for number in range(101))), CONFIG)
    with pytest.raises(ValueError, match="at most 200 characters, got 201"):
        check_plausible(rewarded(0.0, RewardTerm("t" * 201, 0.0)), CONFIG)
    with pytest.raises(ValueError, match="at most 10000 characters, got 10001"):
        check_plausible(honest(source=ObservationSource(prompt="p" * 10_001)), CONFIG)


@pytest.mark.parametrize(
    ("config", "value", "bounds"),
    [(CONFIG, 1e30, r"-20000\.\.20000"), (histogram(), 10.1, r"-10\.\.10"), (histogram(), -11.0, r"-10\.\.10")],
)
def test_a_value_that_no_value_head_gives_is_not(config: TrainConfig, value: float, bounds: str) -> None:
    with pytest.raises(ValueError, match=f"^value must be within {bounds}"):
        check_plausible(honest(value=value), config)
    with pytest.raises(ValueError, match=f"^next_value must be within {bounds}"):
        check_plausible(dataclasses.replace(honest(), next_value=value), config)


def test_no_future_is_worth_nothing_whatever_the_range() -> None:
    check_plausible(honest(value=2.0), histogram(value_min=1.0))


def test_the_discount_is_that_of_the_settings() -> None:
    with pytest.raises(ValueError, match="discount must be 0.99 after 16 steps, got 1"):
        check_plausible(dataclasses.replace(honest(), discount=1.0), CONFIG)
    per_step = dataclasses.replace(CONFIG, ppo=PPOConfig(discount_per_step=True, gamma_step=0.5))
    check_plausible(dataclasses.replace(honest(), discount=float(np.float32(0.5**16))), per_step)
    with pytest.raises(ValueError, match=r"discount must be 1\.52588e-05 after 16 steps, got 0\.99"):
        check_plausible(honest(), per_step)


@pytest.mark.parametrize("name", ["action_tokens", "prompt_tokens"])
@pytest.mark.parametrize("token", [-1, MODEL.vocab_size])
def test_tokens_are_of_the_vocabulary(name: str, token: int) -> None:
    chunk = honest().chunk
    if name == "action_tokens":
        changed = honest(action_tokens=np.full_like(chunk.action_tokens, token))
    else:
        tokens = np.full_like(chunk.observation.prompt_tokens, token)
        changed = honest(observation=dataclasses.replace(chunk.observation, prompt_tokens=tokens))
    with pytest.raises(ValueError, match=rf"{name} must be within 0..1023 \(model.vocab_size\), got {token}"):
        check_plausible(changed, CONFIG)


def test_targets_and_states_are_angles() -> None:
    chunk = honest().chunk
    with pytest.raises(ValueError, match=r"^actions must be within -1000..1000, got 1e\+30"):
        check_plausible(honest(actions=np.full_like(chunk.actions, -1e30)), CONFIG)
    state = np.full_like(chunk.observation.state, np.nan)
    with pytest.raises(ValueError, match=r"^observation.state must be within -1000..1000, got nan"):
        check_plausible(honest(observation=dataclasses.replace(chunk.observation, state=state)), CONFIG)


def test_a_chunk_of_the_policy_has_a_sampled_token() -> None:
    with pytest.raises(ValueError, match="token_mask must name a sampled token"):
        check_plausible(honest(token_mask=np.zeros(MODEL.max_action_tokens, bool)), CONFIG)
