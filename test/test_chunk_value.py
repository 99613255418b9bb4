"""Tests V(s, a) in the policy, in the actor that records it and in the learner that trains it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.agent.actor import Actor
from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.config import ChunkLengthConfig, TrainConfig
from chunk_ppo_ros.core.execution import ExecutionResult
from chunk_ppo_ros.core.types import ChunkId, ChunkOutcome, ModelObservation, Observation, SampledChunk, Transition
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.robot.chunk_length import held_after
from support.small_policy import MODEL, configure, make_policy, save_openpi

BATCH = 2


# The tests below check V(s, a) in the policy.


@dataclasses.dataclass(frozen=True)
class Setting:
    """A policy with random parameters, and chunks to evaluate. The second row lacks its last camera."""

    policy: Pi0FASTActorCritic
    params: Any
    observation: ModelObservation
    tokens: np.ndarray
    mask: np.ndarray
    actions: np.ndarray


def make_setting(**changes: Any) -> Setting:
    policy = make_policy(dataclasses.replace(MODEL, cameras=("one", "two"), value_bins=5, **changes))
    random = np.random.default_rng(0)
    shapes = jax.eval_shape(lambda: policy.init(key=jax.random.key(0)))
    params = jax.tree.map(lambda leaf: random.normal(0.0, 0.3, leaf.shape).astype(np.float32), shapes)
    image_mask = np.array([[True, True], [True, False]])
    images = random.integers(0, 256, (BATCH, 2, 32, 32, 3), dtype=np.uint8)
    observation = ModelObservation(
        images=images * image_mask[..., None, None, None],
        image_mask=image_mask,
        prompt_tokens=random.integers(3, 90, (BATCH, MODEL.max_prompt_len)).astype(np.int32),
        prompt_mask=np.arange(MODEL.max_prompt_len) < np.array([[20], [9]]),
        state=np.zeros((BATCH, 14), np.float32),
    )
    mask = np.arange(MODEL.max_action_tokens) < 3
    tokens = np.where(mask, policy.token_ids.to_model(np.arange(MODEL.max_action_tokens) % 7), 0).astype(np.int32)
    actions = random.uniform(-1, 1, (BATCH, MODEL.action_horizon, 14)).astype(np.float32)
    return Setting(policy, params, observation, np.tile(tokens, (BATCH, 1)), np.tile(mask, (BATCH, 1)), actions)


@pytest.fixture(scope="module")
def setting() -> Setting:
    return make_setting(chunk_value="attention")


def test_scoring_and_asking_give_one_value_whatever_a_masked_camera_shows(setting: Setting) -> None:
    policy, params = setting.policy, setting.params
    scores = jax.jit(policy.evaluate)(
        params, setting.observation, setting.tokens, setting.mask, temperature=1.0, actions=setting.actions
    )
    assert scores.chunk_value.logits.shape == (BATCH, 5)
    ask = jax.jit(policy.compute_action_chunk_value)
    value = ask(params, setting.observation, setting.actions)
    np.testing.assert_allclose(value, scores.chunk_value.mean, atol=1e-5)
    assert np.all(np.abs(value - scores.value.mean) > 1e-4)
    images = np.where(setting.observation.image_mask[..., None, None, None], setting.observation.images, 255)
    changed = dataclasses.replace(setting.observation, images=images.astype(np.uint8))
    np.testing.assert_allclose(ask(params, changed, setting.actions), value, atol=1e-5)
    other = setting.actions.copy()
    other[0, -1, 3] += 0.5
    difference = np.abs(ask(params, setting.observation, other) - value)
    assert difference[0] > 1e-5 and difference[1] < 1e-6


def test_the_losses_of_both_values_stay_out_of_a_detached_backbone(setting: Setting) -> None:
    def loss(params: Any, actions: jax.Array) -> jax.Array:
        tokens, mask = jnp.asarray(setting.tokens), jnp.asarray(setting.mask)
        scores = setting.policy.evaluate(params, setting.observation, tokens, mask, temperature=1.0, actions=actions)
        assert scores.chunk_value is not None
        returns = jnp.array([1.0, -1.0])
        return jnp.sum(scores.value.loss(returns, huber_delta=1.0) + scores.chunk_value.loss(returns, huber_delta=1.0))

    of_params, of_actions = jax.jit(jax.grad(loss, argnums=(0, 1)))(setting.params, setting.actions)
    assert not np.any(of_actions)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(of_params["actor_backbone"]))
    for path, leaf in jax.tree.leaves_with_path(of_params["value_head"]):
        assert np.any(leaf), path


def test_chunks_are_valued_where_actions_are_given_and_there_is_a_head(setting: Setting) -> None:
    arguments = (setting.observation, jnp.asarray(setting.tokens), jnp.asarray(setting.mask))
    actions = jnp.asarray(setting.actions)
    without = jax.eval_shape(lambda p: setting.policy.evaluate(p, *arguments, temperature=1.0), setting.params)
    assert without.chunk_value is None
    plain = make_policy(dataclasses.replace(setting.policy.config, chunk_value="none"))
    params = jax.eval_shape(lambda: plain.init(key=jax.random.key(0)))
    scores = jax.eval_shape(lambda p: plain.evaluate(p, *arguments, temperature=1.0, actions=actions), params)
    assert scores.chunk_value is None
    with pytest.raises(ValueError, match="model.chunk_value must be pooled or attention"):
        jax.eval_shape(plain.compute_action_chunk_value, params, setting.observation, setting.actions)


def test_a_chunk_of_too_many_steps_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least model.action_horizon \(4\) where model.chunk_value is set, got 3"):
        dataclasses.replace(MODEL, chunk_value="pooled", max_value_steps=3)
    setting = make_setting(chunk_value="pooled", max_value_steps=4)
    longer = np.concatenate([setting.actions, setting.actions], axis=1)
    with pytest.raises(ValueError, match=r"at most 4 \(model.max_value_steps\), got 8"):
        jax.eval_shape(setting.policy.compute_action_chunk_value, setting.params, setting.observation, longer)


# The tests below check V(s, a) in the actor and in the learner.


def observe(actor: Actor, seed: int) -> ModelObservation:
    random = np.random.default_rng(seed)
    state = random.uniform(-0.5, 0.5, 14).astype(np.float32)
    images = random.integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    return actor.observe(Observation(images, np.ones(1, bool), state, "reach"))


def transition(number: int, chunk: SampledChunk, reward: float) -> Transition:
    outcome = ChunkOutcome(
        reward=reward,
        reward_terms=(),
        execution=ExecutionResult.whole(MODEL.action_horizon),
        terminated=True,
        truncated=False,
    )
    return Transition(ChunkId("run", number, number, 0), chunk, outcome, 0.0, None, discount=0.9)


def make_config(folder: Path) -> TrainConfig:
    run = {"pretrained_checkpoint_path": str(folder / "imitation")}
    config = configure(folder, run=run, chunk_value="attention", value_bins=11, value_min=-2.0, value_max=2.0)
    ppo = dataclasses.replace(
        config.ppo, gae_value="chunk", num_chunks_per_update=2, batch_size=2, value_learning_rate=0.1
    )
    return dataclasses.replace(config, ppo=ppo)


@dataclasses.dataclass(frozen=True)
class Trained:
    """An actor with the weights of a first update, the learner that made it, and the update's figures."""

    actor: Actor
    learner: Learner
    figures: dict[str, float]
    config: TrainConfig


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Trains on two chunks with the rewards 1 and -3. The second reward is beyond the histogram of -2..2."""
    folder = tmp_path_factory.mktemp("chunk_value")
    save_openpi(folder / "imitation")
    config = make_config(folder)
    learner = Learner.start(config)
    actor = Actor(config, learner.checkpoint, policy_version=0)
    chunks = [actor.act(observe(actor, number), sequence_number=number) for number in range(2)]
    assert [chunk.value for chunk in chunks] == pytest.approx([0.0, 0.0], abs=1e-6)
    transitions = [transition(number, chunk, (1.0, -3.0)[number]) for number, chunk in enumerate(chunks)]
    for each in transitions:
        learner.check(each)
    figures = learner.update(transitions)
    actor.load(learner.save(), policy_version=1)
    return Trained(actor, learner, figures, config)


def test_an_update_trains_and_describes_both_values(trained: Trained) -> None:
    figures = trained.figures
    assert figures["loss/value"] > 0 and figures["loss/chunk_value"] > 0
    assert figures["value/clipped_returns"] == 0.5
    assert figures["value/chunk_explained_variance"] == pytest.approx(0.0, abs=1e-6)  # a constant, before training
    head = trained.learner.params["value_head"]
    assert np.any(head["output"]["kernel"]) and np.any(head["chunk"]["output"]["kernel"])


def test_the_actor_records_the_value_of_what_it_asks_for(trained: Trained) -> None:
    """The entropy is half way from sure to unsure.

    So k = 4 - (4 - 2) / 2 = 3 steps are executed, and then the last target is held.
    """
    actor, policy, params = trained.actor, make_policy(trained.config.model), trained.learner.params
    chunk = actor.act(observe(actor, 5), sequence_number=5)
    unsure = {"low_entropy": chunk.entropy - 0.5, "high_entropy": chunk.entropy + 0.5, "end_steps": 2}
    cut_config = dataclasses.replace(
        trained.config,
        chunk_length=ChunkLengthConfig(length_rule="uncertainty", **unsure),  # type: ignore[arg-type]
        ppo=dataclasses.replace(trained.config.ppo, discount_per_step=True),
    )
    checkpoint = trained.learner.checkpoint
    cut = Actor(cut_config, checkpoint, policy_version=1).act(observe(actor, 5), sequence_number=5)
    assert (chunk.num_steps_asked, cut.num_steps_asked, cut.asked_actions.shape) == (4, 3, (3, 14))
    np.testing.assert_array_equal(cut.action_tokens, chunk.action_tokens)
    assert cut.entropy == chunk.entropy > 0.5
    batch = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], chunk.observation)
    value = jax.jit(policy.compute_action_chunk_value)
    tokenizer = restore.load(checkpoint, trained.config).tokenizer
    for each, actions in ((chunk, chunk.actions), (cut, held_after(chunk.actions, 3, horizon=4))):
        normalized = tokenizer.normalize_actions(actions, chunk.observation.state)
        assert each.value == pytest.approx(float(value(params, batch, normalized[None])[0]), abs=1e-5)
    assert abs(chunk.value) > 1e-3
    assert abs(cut.value - chunk.value) > 1e-5


def test_the_value_of_an_observation_is_that_of_a_chunk_sampled_there(trained: Trained) -> None:
    actor = trained.actor
    first, second = observe(actor, 6), observe(actor, 7)
    assert actor.value(first) == actor.value(first)
    assert actor.value(first) != actor.value(second)
    # The value is one of those that acting there gives to other samples.
    values = [actor.act(first, sequence_number=number).value for number in range(8)]
    assert min(values) - np.ptp(values) <= actor.value(first) <= max(values) + np.ptp(values)


def test_the_learner_refuses_chunks_of_another_shape_or_that_are_not_finite(trained: Trained) -> None:
    chunk = trained.actor.act(observe(trained.actor, 8), sequence_number=8)
    longer = dataclasses.replace(chunk, actions=np.zeros((5, 14), np.float32))
    with pytest.raises(ValueError, match=r"actions must have shape \(4, 14\), got \(5, 14\)"):
        trained.learner.check(transition(8, longer, 0.0))
    broken = dataclasses.replace(chunk, actions=np.full((4, 14), np.nan, np.float32))
    with pytest.raises(ValueError, match="log-probs, actions, values and reward must be finite"):
        trained.learner.check(transition(8, broken, 0.0))
