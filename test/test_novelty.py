"""Tests random network distillation. What is new is rewarded, what is seen again ever less, and the state resumes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros.agent import learner as learner_module
from chunk_ppo_ros.agent.novelty import FILE, IMAGE_SIDE, Moments, Novelty, features, observations_after
from chunk_ppo_ros.config import Pi0FASTActorCriticConfig, RewardConfig, TrainConfig
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.types import ModelObservation, RewardTerm, Transition
from chunk_ppo_ros.rl.rollout import RolloutBatch
from support import small_policy, toy_policy

CONFIG = TrainConfig(
    model=Pi0FASTActorCriticConfig(action_dim=1, cameras=("base_0_rgb",)), reward=RewardConfig(novelty_weight=0.5)
)
NUM_CHUNKS = 8


def scene(seed: int) -> ModelObservation:
    """Returns an observation of a scene of its own: a random image and state."""
    random = np.random.default_rng(seed)
    return dataclasses.replace(
        toy_policy.observation(),
        images=random.integers(256, size=(1, 2, 2, 3), dtype=np.uint8),
        state=random.uniform(-1, 1, 1).astype(np.float32),
    )


def rollout(seeds: range, *, first: int = 0) -> list[Transition]:
    """Returns chunks after each of which a scene was seen."""
    return [
        dataclasses.replace(toy_policy.transition(first + index, reward=1.0), next_observation=scene(seed))
        for index, seed in enumerate(seeds)
    ]


def values(transitions: list[Transition]) -> np.ndarray:
    return np.array([transition.outcome.reward_terms[-1].value for transition in transitions])


def see(novelty: Novelty, transitions: list[Transition]) -> np.ndarray:
    rewarded, novelty.state = novelty.reward(transitions)
    return values(rewarded)


def test_it_falls_on_what_is_seen_again_and_is_high_on_what_is_new() -> None:
    novelty = Novelty(CONFIG)
    first = see(novelty, rollout(range(NUM_CHUNKS)))
    # Divided by their root mean square, the first rollout's values have a mean square of 1.
    assert np.mean(first**2) == pytest.approx(1.0, rel=1e-5)
    for _ in range(10):
        last = see(novelty, rollout(range(NUM_CHUNKS)))
    assert np.all(last < 0.3 * first)
    mixed = see(novelty, rollout(range(NUM_CHUNKS // 2, NUM_CHUNKS + NUM_CHUNKS // 2)))
    seen, new = np.split(mixed, 2)
    assert new.min() > 2.0 * seen.max()


def test_it_is_a_term_of_the_reward_and_asking_changes_nothing() -> None:
    novelty = Novelty(CONFIG)
    rewarded, _ = novelty.reward(rollout(range(NUM_CHUNKS)))
    again, _ = novelty.reward(rollout(range(NUM_CHUNKS)))
    np.testing.assert_array_equal(values(rewarded), values(again))
    task, term = rewarded[0].outcome.reward_terms
    assert (task, term.name, term.weight) == (RewardTerm("task", 1.0), "novelty", 0.5)
    assert rewarded[0].outcome.reward == pytest.approx(1.0 + 0.5 * term.value)


def test_the_state_resumes(tmp_path: Path) -> None:
    novelty, other = Novelty(CONFIG), Novelty(CONFIG)
    see(novelty, rollout(range(NUM_CHUNKS)))
    assert not other.load(tmp_path)
    novelty.save(tmp_path)
    assert other.load(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, other.state, novelty.state)
    next_rollout = rollout(range(NUM_CHUNKS, 2 * NUM_CHUNKS))
    np.testing.assert_array_equal(see(other, next_rollout), see(novelty, next_rollout))


def test_what_was_observed_after_each_chunk() -> None:
    bootstrapped = dataclasses.replace(toy_policy.transition(1), next_observation=scene(9))
    story = [
        toy_policy.transition(0),  # followed by the next chunk
        bootstrapped,  # a bootstrap tells it
        toy_policy.transition(2, terminated=True),  # nothing is seen after the end
        toy_policy.transition(3, episode=1, chunk=0),  # chunk 1 of this episode is lost
        toy_policy.transition(5, episode=1, chunk=2),  # the last
    ]
    after = observations_after(story)
    assert after[0] is bootstrapped.chunk.observation
    assert after[1] is bootstrapped.next_observation
    assert after[2:] == [None, None, None]


def test_a_chunk_after_which_nothing_is_seen_gets_none_and_teaches_nothing() -> None:
    novelty = Novelty(CONFIG)
    transitions = [*rollout(range(NUM_CHUNKS - 1)), toy_policy.transition(NUM_CHUNKS - 1, terminated=True)]
    assert see(novelty, transitions)[-1] == 0.0
    assert novelty.state.moments.count == NUM_CHUNKS - 1


def test_moments_of_parts_are_those_of_the_whole() -> None:
    # The numbers 1, 2, 3 and 6 have the mean 3 and the squared deviations 4 + 1 + 0 + 9 = 14. The entry with `known` 0
    # does not count.
    moments = Moments(jnp.zeros(()), jnp.zeros(1), jnp.zeros(1))
    moments = moments.add(jnp.array([[1.0], [2.0], [50.0]]), jnp.array([1.0, 1.0, 0.0]))
    moments = moments.add(jnp.array([[3.0], [6.0], [50.0]]), jnp.array([1.0, 1.0, 0.0]))
    assert (float(moments.count), float(moments.mean[0]), float(moments.deviation[0])) == (4.0, 3.0, 14.0)
    np.testing.assert_allclose(moments.whiten(jnp.array([[3.0 + np.sqrt(14 / 4)], [1e3]])), [[1.0], [5.0]], rtol=1e-6)


@pytest.mark.parametrize("size", [8, 32, 50])
def test_images_are_averaged_over_areas(size: int) -> None:
    images = np.zeros((1, size, size, 3), np.uint8)
    images[0, : size // 2] = 255  # the upper half is white
    observation = dataclasses.replace(toy_policy.observation(), images=images, state=np.array([0.25], np.float32))
    found = features(observation)
    small = found[:-1].reshape(IMAGE_SIDE, IMAGE_SIDE, 3)
    np.testing.assert_allclose(small[: IMAGE_SIDE // 2 - 1], 1.0, rtol=1e-6)
    np.testing.assert_allclose(small[IMAGE_SIDE // 2 + 1 :], 0.0)
    assert found[-1] == np.float32(0.25)


class NoUpdate:
    """Stands in for the update: writes down the rewards that it is given and changes nothing."""

    rewards: ClassVar[list[np.ndarray]] = []

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def run(self, params: Any, opt_state: Any, rollout: RolloutBatch, **_: Any) -> SimpleNamespace:
        self.rewards.append(rollout.rewards)
        return SimpleNamespace(params=params, opt_state=opt_state, metrics=Metrics())


def test_the_learner_adds_it_before_the_update_and_keeps_it_with_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learner_module, "PPOUpdate", NoUpdate)
    small_policy.save_openpi(tmp_path / "imitated")
    started = {"pretrained_checkpoint_path": str(tmp_path / "imitated"), "on_load_failure": "fail"}
    config = dataclasses.replace(small_policy.configure(tmp_path, run=started), reward=RewardConfig(novelty_weight=0.5))
    random = np.random.default_rng(0)
    observations = [small_policy_observation(config, random) for _ in range(NUM_CHUNKS)]
    transitions = [
        dataclasses.replace(toy_policy.transition(number, reward=1.0), next_observation=observation)
        for number, observation in enumerate(observations)
    ]
    learner = learner_module.Learner.start(config)
    metrics = learner.update(transitions)
    assert (learner.policy_version, learner.num_chunks, learner.num_steps) == (1, NUM_CHUNKS, 2 * NUM_CHUNKS)
    assert metrics["reward/term/task"] == 1.0
    assert metrics["reward/term/novelty"] > 0.0
    assert np.mean(NoUpdate.rewards[-1]) == pytest.approx(1.0 + metrics["reward/term/novelty"], rel=1e-5)
    learner.save()
    resumed = dataclasses.replace(config, run=dataclasses.replace(config.run, resume=True))
    goes_on = learner_module.Learner.start(resumed)
    assert len(goes_on.startup_messages) == 1  # Where it starts from, and nothing that the user should know.
    again = goes_on.update(transitions)
    assert again == learner.update(transitions)
    assert again["reward/term/novelty"] < metrics["reward/term/novelty"]


def test_a_run_that_begins_with_it_later_says_that_everything_counts_as_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learner_module, "PPOUpdate", NoUpdate)
    started = {"pretrained_checkpoint_path": str(small_policy.save_openpi(tmp_path / "imitated"))}
    config = small_policy.configure(tmp_path, run=started)
    root = learner_module.Learner.start(config).checkpoint.root
    assert not (root / "assets" / FILE).exists()
    resumed = dataclasses.replace(
        config, run=dataclasses.replace(config.run, resume=True), reward=RewardConfig(novelty_weight=0.5)
    )
    note = f"{root} was trained without reward.novelty_weight, so every observation counts as new"
    assert note in learner_module.Learner.start(resumed).startup_messages


def small_policy_observation(config: TrainConfig, random: np.random.Generator) -> ModelObservation:
    size = config.model.image_size
    return dataclasses.replace(
        toy_policy.observation(),
        images=random.integers(256, size=(1, size, size, 3), dtype=np.uint8),
        state=random.uniform(-1, 1, config.model.action_dim).astype(np.float32),
    )
