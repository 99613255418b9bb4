"""Tests that a policy that acts and learns compiles each program once, before its first chunk and its first update."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from chunk_ppo_ros.agent.actor import Actor
from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.evaluation.bench.bench_inputs import random_observation, transition_of
from support import small_policy
from support.compilations import compilations

NUM_CHUNKS = 4


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    """Returns a configuration with adapters, a frozen image tower and one update of the values alone.

    Each of them could make a program compile again.
    """
    run = {"pretrained_checkpoint_path": str(small_policy.save_openpi(tmp_path / "imitated"))}
    config = small_policy.configure(tmp_path, run=run, lora_rank=2)
    ppo = dataclasses.replace(
        config.ppo,
        num_chunks_per_update=NUM_CHUNKS,
        batch_size=2,
        critic_warmup_updates=1,
        freeze_image_tower=True,
        recompute_log_probs=True,
    )
    return dataclasses.replace(config, ppo=ppo)


def rollout(actor: Actor, config: TrainConfig, start: int) -> list[Transition]:
    """Returns chunks that the actor samples, with random rewards."""
    random = np.random.default_rng(start)
    transitions = []
    for number in range(start, start + NUM_CHUNKS):
        seen = dataclasses.replace(random_observation(config.model, random), prompt="reach")
        transitions.append(transition_of(actor.act(actor.observe(seen), sequence_number=number), number, random))
    return transitions


def test_nothing_compiles_after_the_warm_up(config: TrainConfig) -> None:
    learner = Learner.start(config)
    actor = Actor(config, learner.checkpoint, policy_version=0)
    with compilations() as before:
        actor.warm_up()
        learner.warm_up()
    assert before  # or the listener hears nothing
    with compilations() as during:
        for version in range(1, 4):  # the first trains the values alone
            transitions = rollout(actor, config, version * NUM_CHUNKS)
            actor.value(transitions[-1].chunk.observation)
            learner.update(transitions)
            actor.load(learner.save(), policy_version=version)
    assert during == []

    # The run is resumed. Its parameters come from the disk, and its first update is one of many.
    learner = Learner.start(dataclasses.replace(config, run=dataclasses.replace(config.run, resume=True)))
    learner.warm_up()
    with compilations() as resumed:
        for version in range(4, 6):
            learner.update(rollout(actor, config, version * NUM_CHUNKS))
            actor.load(learner.save(), policy_version=version)
    assert resumed == []
