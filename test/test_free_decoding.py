"""Tests free decoding from the model to the robot.

Both score one distribution, and the robot holds where tokens mean nothing.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from chunk_ppo_ros.agent.actor import Actor
from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.errors import BrokenWeights
from chunk_ppo_ros.core.types import ModelObservation, Observation
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.outputs import Sample
from chunk_ppo_ros.model.tokenization.policy_tokenizer import EncodedActions, PolicyTokenizer
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.command_limiter import CommandLimiter
from chunk_ppo_ros.robot.gate.commands import Command
from chunk_ppo_ros.robot.safety import check_chunk
from support import small_policy

FREE = dataclasses.replace(small_policy.MODEL, constrain_decoding=False)
POSE = aloha.START_POSE.astype(np.float32)


def observe(batch: int) -> ModelObservation:
    """Returns random images for every row, prompts of different lengths, and a missing camera in the first row."""
    random = np.random.default_rng(0)
    slots = FREE.max_prompt_len
    prompt_mask = np.arange(slots) < random.integers(4, slots + 1, (batch, 1))
    image_mask = np.ones((batch, 1), bool)
    image_mask[0] = False
    return ModelObservation(
        images=random.integers(0, 256, (batch, 1, 32, 32, 3), dtype=np.uint8) * image_mask[..., None, None, None],
        image_mask=image_mask,
        prompt_tokens=np.where(prompt_mask, random.integers(2, 90, (batch, slots)), 0).astype(np.int32),
        prompt_mask=prompt_mask,
        state=np.zeros((batch, 14), np.float32),
    )


def test_scores_are_those_of_sampling() -> None:
    """The scores are over all 1024 tokens, at a temperature of 3. Some rows stop, and others use all their slots."""
    policy = small_policy.make_policy(FREE)
    params, observation = policy.init(key=jax.random.key(0)), observe(32)
    table = params["actor_backbone"]["PaliGemma"]["llm"]["embedder"]["input_embedding"]
    likely = [policy.token_ids.bar, policy.token_ids.end]  # as likely as a few dozen others together
    params["actor_backbone"]["PaliGemma"]["llm"]["embedder"]["input_embedding"] = table.at[np.array(likely)].mul(8.0)
    sample = jax.jit(policy.sample_actions)(params, observation, key=jax.random.key(1), temperature=3.0)
    mask, tokens = np.asarray(sample.token_mask), np.asarray(sample.action_tokens)
    lengths = mask.sum(axis=1)
    assert lengths.min() < FREE.max_action_tokens == lengths.max()
    for row, length in zip(tokens, lengths, strict=True):
        assert not set(likely) & set(row[: length - 1].tolist())
        assert length == FREE.max_action_tokens or row[length - 1] in likely
        assert not row[length:].any()
    scores = jax.jit(policy.evaluate)(params, observation, tokens, mask, temperature=3.0)
    np.testing.assert_allclose(scores.token_log_probs, sample.token_log_probs, atol=1e-4)
    # Most tokens of the vocabulary are no FAST tokens, and every token can come. So the entropy is above that of all
    # FAST tokens.
    assert np.asarray(scores.entropy)[mask].mean() > np.log(policy.token_ids.num_fast)
    assert not np.all([policy.token_ids.is_fast(int(token)) for token in tokens[mask]])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_policy.save_openpi(tmp_path_factory.mktemp("free") / "openpi")


def make_actor(checkpoint: Path, *, constrain: bool) -> Actor:
    config = small_policy.configure(checkpoint.parent, constrain_decoding=constrain)
    return Actor(config, Checkpoint.open(checkpoint), policy_version=3)


def look(actor: Actor, state: np.ndarray) -> ModelObservation:
    return actor.observe(Observation(np.zeros((1, 32, 32, 3), np.uint8), np.ones(1, bool), state, "reach"))


def generates(actor: Actor, encoded: EncodedActions, *, log_prob: float = -1.0) -> None:
    """Makes the actor's model generate these tokens."""
    mask = encoded.token_mask
    log_probs = np.where(mask, log_prob, 0.0).astype(np.float32)
    entropies = np.zeros_like(log_probs)
    sample = Sample(encoded.action_tokens, mask, log_probs, entropies, np.array(0.5, np.float32))  # type: ignore[arg-type]
    actor.compiled_act = lambda params, observation, key: sample  # type: ignore[assignment]


def encode(tokenizer: PolicyTokenizer, *, last: int | None = None, **model: Any) -> EncodedActions:
    """Returns a chunk of small steps from the pose, whose first token is replaced by `last` where given."""
    tokenizer = dataclasses.replace(tokenizer, config=dataclasses.replace(small_policy.MODEL, **model))
    encoded = tokenizer.encode_actions(np.tile(POSE, (4, 1)) + 0.01, POSE)
    if last is not None:
        encoded.action_tokens[0] = last
    return encoded


def test_the_robot_holds_on_tokens_that_mean_nothing(checkpoint: Path) -> None:
    """What a policy of random weights samples is no chunk. Its actions are the pose, and the robot takes them."""
    actor = make_actor(checkpoint, constrain=False)
    observation = look(actor, POSE)
    for number in range(3):
        chunk = actor.act(observation, sequence_number=number)
        assert not chunk.valid
        assert actor.why_invalid(chunk)
        assert chunk.token_mask.any()
        assert np.all(np.isfinite(chunk.token_log_probs))
        assert chunk.actions.dtype == np.float32
        np.testing.assert_array_equal(chunk.actions, np.tile(POSE, (4, 1)))
    # It passes the checks before the first step in the pose that it was sampled in, and no target is limited.
    config = RobotConfig()
    times = np.arange(4) / config.control_rate
    assert check_chunk(times, chunk.actions, measured=POSE, age=0.0, config=config) is None
    limiter = CommandLimiter(config)
    for target in chunk.actions:
        limited = limiter.limit(target, Command.at_rest(POSE))
        np.testing.assert_allclose(limited.target, POSE, atol=1e-6)
        assert not limited.clamped


def test_holding_where_the_robot_is_out_of_its_range(checkpoint: Path) -> None:
    """The shoulders of ALOHA's sleep pose are at -1.96, below -1.85. The chunk moves at the speed limit."""
    sleep = np.tile([0.0, -1.96, 1.55, 0.0, -1.57, 0.0, -0.02], 2).astype(np.float32)
    actor = make_actor(checkpoint, constrain=False)
    chunk = actor.act(look(actor, sleep), sequence_number=0)
    assert not chunk.valid
    config = RobotConfig()
    times = np.arange(4) / config.control_rate
    assert check_chunk(times, chunk.actions, measured=sleep, age=0.0, config=config) is None
    step = CommandLimiter(config).limit(chunk.actions[0], Command.at_rest(sleep)).target - sleep
    assert np.abs(step).max() <= config.max_velocity / config.control_rate + 1e-6


def test_tokens_that_stand_for_a_chunk_are_valid(checkpoint: Path) -> None:
    actor = make_actor(checkpoint, constrain=False)
    generates(actor, encode(small_policy.make_tokenizer(), constrain_decoding=False))
    chunk = actor.act(look(actor, POSE), sequence_number=0)
    assert chunk.valid
    assert actor.why_invalid(chunk) == ""
    assert chunk.token_mask.sum() == np.flatnonzero(chunk.action_tokens == 1)[0]  # "|" included, the end token not
    assert np.abs(chunk.actions - POSE).max() > 0


def test_an_undecodable_chunk_is_an_error_where_decoding_is_constrained(checkpoint: Path) -> None:
    actor = make_actor(checkpoint, constrain=True)
    assert actor.act(look(actor, POSE), sequence_number=0).valid
    generates(actor, encode(small_policy.make_tokenizer(), last=8))
    with pytest.raises(RuntimeError, match="tokens that can be decoded, got ones that cannot: token 8 of the model"):
        actor.act(look(actor, POSE), sequence_number=0)


@pytest.mark.parametrize("constrain", [True, False])
def test_weights_that_give_nan_are_an_error(checkpoint: Path, constrain: bool) -> None:
    """NaN must not go into a message as a log-probability, whatever the tokens are."""
    actor = make_actor(checkpoint, constrain=constrain)
    generates(actor, encode(small_policy.make_tokenizer()), log_prob=np.nan)
    with pytest.raises(BrokenWeights, match="must be finite, got NaN or infinity from policy version 3"):
        actor.act(look(actor, POSE), sequence_number=0)


def test_a_chunk_and_the_value_of_an_observation_are_those_of_the_version(checkpoint: Path) -> None:
    actor = make_actor(checkpoint, constrain=True)
    observation = look(actor, POSE)
    generates(actor, encode(small_policy.make_tokenizer()))
    chunk = actor.act(observation, sequence_number=0)
    assert (chunk.policy_version, chunk.value, chunk.num_steps_asked, chunk.entropy) == (3, 0.5, 4, 0.0)
    assert (chunk.temperature, chunk.human_driven, actor.why_invalid(chunk)) == (1.0, False, "")
    commanded = np.tile(POSE, (4, 1))
    driven = actor.human_chunk(observation, commanded)
    assert (driven.policy_version, driven.value) == (3, actor.value(observation))
    assert (driven.human_driven, driven.valid, driven.num_steps_asked, driven.entropy) == (True, True, 4, 0.0)
    assert (driven.temperature, driven.observation is observation) == (1.0, True)
    assert driven.token_mask.any() and not driven.token_log_probs.any()
    np.testing.assert_array_equal(driven.actions, commanded)
    actor.take({"nothing": np.zeros(1)}, policy_version=4)
    assert (actor.policy_version, actor.act(observation, sequence_number=0).policy_version) == (4, 4)
