"""Tests observations with image tokens in the place of images.

Scores and values are the same, and the image tower is in one program only.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros.config import PPOConfig
from chunk_ppo_ros.core.types import ModelObservation
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.model.backbone import siglip
from chunk_ppo_ros.model.backbone.freezing import FrozenTowers
from chunk_ppo_ros.model.outputs import Sample
from chunk_ppo_ros.rl.optimizer import make_optimizer
from chunk_ppo_ros.rl.update import PPOUpdate, UpdateResult
from support.actor_critic import CONFIG, make_observation, make_policy, rollout

NUM_CHUNKS = 4
PPO = PPOConfig(num_chunks_per_update=NUM_CHUNKS, batch_size=2, num_epochs_per_update=3, freeze_image_tower=True)


@pytest.fixture(scope="module")
def policy() -> Pi0FASTActorCritic:
    return make_policy(lora_rank=2, tower_sizes=("gemma.depth=1", "siglip.depth=1"))


@pytest.fixture(scope="module")
def params(policy: Pi0FASTActorCritic) -> Any:
    params = policy.init(key=jax.random.key(0))
    params["value_head"]["output"]["kernel"] = jax.random.normal(jax.random.key(1), (CONFIG.value_head_hidden_dim, 1))
    return params


@pytest.fixture(scope="module")
def observation() -> ModelObservation:
    return make_observation(CONFIG, NUM_CHUNKS)


@pytest.fixture(scope="module")
def sampled(policy: Pi0FASTActorCritic, params: Any, observation: ModelObservation) -> Sample:
    return jax.jit(policy.sample_actions)(params, observation, key=jax.random.key(2), temperature=1.0)


def assert_close(one: Any, other: Any) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), one, other)


def test_scores_and_values_are_those_of_the_images(
    policy: Pi0FASTActorCritic, params: Any, observation: ModelObservation, sampled: Sample
) -> None:
    embedded = jax.jit(policy.embed_observation)(params, observation)
    assert embedded.image_tokens.shape == (NUM_CHUNKS, 3 * 4, policy.backbone.variant.gemma.width)
    evaluate = jax.jit(policy.evaluate)
    scores = [
        evaluate(params, either, sampled.action_tokens, sampled.token_mask, temperature=1.0)
        for either in (observation, embedded)
    ]
    assert_close(*scores)
    value = jax.jit(policy.compute_observation_value)
    assert_close(value(params, observation), value(params, embedded))


@dataclasses.dataclass
class Traced:
    """An update, and how many images the tower takes at each place in its programs that calls it.

    A tower is counted where JAX traces it, so that the programs are those of production and stay in the cache.
    """

    result: UpdateResult
    num_images: list[int]


@pytest.fixture(scope="module")
def updates(
    policy: Pi0FASTActorCritic, params: Any, observation: ModelObservation, sampled: Sample
) -> tuple[Traced, Traced]:
    """Returns the same update of adapters and value head with and without reuse of the image tokens."""
    trained = FrozenTowers(freeze_image_tower=True).trained_leaves(params["actor_backbone"])
    optimizer, made = make_optimizer(PPO), []
    opt_state = optimizer.init(params, trained=trained)
    apply = siglip.apply_siglip

    def counting(config: Any, tower: Any, images: Any, *, dtype: Any) -> Any:
        counts.append(len(images))
        return apply(config, tower, images, dtype=dtype)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(siglip, "apply_siglip", counting)
        for prepare in (policy.embed_observation, None):
            counts: list[int] = []
            update = PPOUpdate(policy.evaluate, optimizer, PPO, trained=trained, prepare=prepare)
            result = update.run(params, opt_state, rollout(observation, sampled), key=jax.random.key(3))
            made.append(Traced(result, counts))
    return made[0], made[1]


def test_only_the_program_that_prepares_has_the_image_tower(updates: tuple[Traced, Traced]) -> None:
    """The program runs once for each observation of an update, which test_update_partition.py counts."""
    reused, repeated = updates
    num_images = PPO.batch_size * len(CONFIG.cameras)
    assert reused.num_images == [num_images]
    assert set(repeated.num_images) == {num_images}
    assert len(repeated.num_images) >= 2  # the program that scores, and that of a step


def test_reuse_does_not_change_the_update(updates: tuple[Traced, Traced], params: Any) -> None:
    reused, repeated = updates
    assert_close(reused.result.params, repeated.result.params)
    assert_close(dict(reused.result.metrics), dict(repeated.result.metrics))
    moved = jax.tree.map(lambda new, old: bool(jnp.any(new != old)), reused.result.params, params)
    leaves = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(moved["actor_backbone"])}
    assert {name for name, leaf in leaves.items() if leaf} == {name for name in leaves if "lora_" in name}
