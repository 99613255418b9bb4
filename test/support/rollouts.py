"""Makes rollouts for a learner of a small policy, without a simulator."""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.agent.actor import Actor
from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.evaluation.bench.bench_inputs import random_observation, transition_of


def sampled_rollout(learner: Learner, config: TrainConfig, *, reward: float | None = None) -> list[Transition]:
    """Returns the chunks of a rollout that an actor samples from random observations with the learner's checkpoint.

    Args:
        learner: the learner. Its version makes the random numbers, and its counters say the first sequence number.
        config: its configuration.
        reward: the reward of each chunk. Without it, rewards are random.
    """
    actor = Actor(config, learner.checkpoint, policy_version=learner.policy_version)
    random = np.random.default_rng(learner.policy_version)
    first, made = learner.counters.next_sequence_number, []
    for number in range(first, first + config.ppo.num_chunks_per_update):
        seen = dataclasses.replace(random_observation(config.model, random), prompt="reach")
        one = transition_of(actor.act(actor.observe(seen), sequence_number=number), number, random)
        if reward is not None:
            one = dataclasses.replace(one, outcome=dataclasses.replace(one.outcome, reward=reward))
        made.append(one)
    return made
