"""Tests that the policy's tokenizer adapts, normalizes and undoes both, in openpi's order."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import pytest

from chunk_ppo_ros.config import MODELS, Pi0FASTActorCriticConfig
from chunk_ppo_ros.core import types
from chunk_ppo_ros.model.tokenization.aloha_transforms import AlohaTransforms, joint_mask
from chunk_ppo_ros.model.tokenization.fast_tokenizer import FastTokenizer
from chunk_ppo_ros.model.tokenization.normalization import Stats, clip_actions, compute_norm_stats
from chunk_ppo_ros.model.tokenization.policy_tokenizer import PolicyTokenizer
from chunk_ppo_ros.model.tokenization.prompt_tokenizer import PromptTokenizer, train_prompt_tokenizer

TASK = "reach the cubes"
MODEL = dataclasses.replace(MODELS["tiny"], action_horizon=8)
ADAPTED = dataclasses.replace(MODEL, adapt_to_pi=True, max_token_len=150, max_action_tokens=110)


@pytest.fixture(scope="module")
def prompt_model(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("prompt") / "prompt.model"
    train_prompt_tokenizer([TASK], path)
    return path


def recorded(num_chunks: int, state_dim: int, action_dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns states and chunks of a robot, with joints within a radian, grippers within 0..1, and small steps."""
    rng = np.random.default_rng(0)
    states = rng.uniform(0, 1, (num_chunks, state_dim))
    steps = rng.uniform(-0.02, 0.02, (num_chunks, MODEL.action_horizon, action_dim)).cumsum(axis=1)
    return states, np.clip(states[:, None, :action_dim] + steps, 0, 1)


def make(config: Pi0FASTActorCriticConfig, state_dim: int, prompt_model: pathlib.Path) -> PolicyTokenizer:
    states, actions = recorded(100, state_dim, config.action_dim)
    transforms = AlohaTransforms.from_config(config)
    encoded = transforms.encode_actions(actions, states)
    norm_stats = compute_norm_stats(transforms.encode_state(states), encoded)
    clipped, _ = clip_actions(norm_stats.actions.normalize(encoded), config.action_limit)
    prompt = PromptTokenizer(prompt_model, max_len=config.max_prompt_len)
    return PolicyTokenizer(prompt=prompt, fast=FastTokenizer.fit(clipped), norm_stats=norm_stats, config=config)


def observation(state: np.ndarray) -> types.Observation:
    return types.Observation(np.zeros((1, 8, 8, 3), np.uint8), np.ones(1, bool), state.astype(np.float32), TASK)


def test_the_prompt_holds_the_state_of_pis_space(prompt_model: pathlib.Path) -> None:
    policy = make(ADAPTED, 14, prompt_model)
    state = recorded(1, 14, 14)[0][0]
    # A shoulder at 1 and a closed gripper are low in pi's space: -1 and -1.08, the ends of what was recorded.
    state[[1, 6]] = [1.0, 0.0]
    seen = policy.observe(observation(state))
    expected, _ = policy.prompt.encode(TASK, policy.norm_stats.state.normalize(policy.transforms.encode_state(state)))
    np.testing.assert_array_equal(seen.prompt_tokens, expected)
    raw, _ = policy.prompt.encode(TASK, policy.norm_stats.state.normalize(state))
    assert not np.array_equal(seen.prompt_tokens, raw)
    np.testing.assert_array_equal(seen.state, state.astype(np.float32))  # the robot's own, for the way back


@pytest.mark.parametrize("gripper", ["openpi", "interbotix"])
def test_adapted_chunks_come_back(prompt_model: pathlib.Path, gripper: str) -> None:
    policy = make(dataclasses.replace(ADAPTED, adapt_gripper=gripper), 14, prompt_model)
    states, chunks = recorded(5, 14, 14)
    for state, chunk in zip(states, chunks, strict=True):
        encoded = policy.encode_actions(chunk, state)
        decoded = policy.decode_actions(encoded.action_tokens, state)
        assert decoded.valid
        # Rounding of 8 coefficients to 1/10 moves a number by at most 8 * 0.05 * sqrt(2 / 8) = 0.2 normalized. Joints
        # have half a range of 0.24 rad, and the openings half the range 1.
        assert np.abs(decoded.actions - chunk)[:, joint_mask(14)].max() < 0.03
        assert np.abs(decoded.actions - chunk).max() < 0.11


def test_state_and_actions_of_different_length(prompt_model: pathlib.Path) -> None:
    config = dataclasses.replace(MODEL, action_dim=7, delta_actions=False, max_token_len=120, max_action_tokens=90)
    policy = make(config, 8, prompt_model)
    states, chunks = recorded(1, 8, 7)
    assert policy.observe(observation(states[0])).state.shape == (8,)
    tokens = policy.encode_actions(chunks[0], states[0]).action_tokens
    assert np.abs(policy.decode_actions(tokens, states[0]).actions - chunks[0]).max() < 0.11
    with pytest.raises(ValueError, match="state must have the 7 dimensions of the actions"):
        dataclasses.replace(policy, config=dataclasses.replace(config, delta_actions=True))


def test_statistics_of_another_robot_are_refused(prompt_model: pathlib.Path) -> None:
    policy = make(dataclasses.replace(MODEL, max_token_len=150, max_action_tokens=110), 14, prompt_model)
    stats = Stats(*np.zeros((4, 8)))
    with pytest.raises(ValueError, match="14 dimensions of the actions"):
        dataclasses.replace(policy, norm_stats=dataclasses.replace(policy.norm_stats, state=stats))
