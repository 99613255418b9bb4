"""Has an actor without a model, for the tests of policy_node."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import numpy as np

from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.core.types import ModelObservation, SampledChunk

VALUE = 0.5


class FakeCheckpoint:
    """Stands for `Checkpoint` where policy_node loads an actor without a model.

    An opened checkpoint is the path of its folder.
    """

    open = Path


class FakeActor:
    """Asks the robot to stay where it is, because every action is the state. Each token of a prompt is its length."""

    num_steps_asked = 16
    gate = threading.Event()
    gate.set()
    invalid = ()

    def __init__(self, config, checkpoint, *, policy_version):
        self._config = config
        self.load(checkpoint, policy_version=policy_version)

    def warm_up(self):
        pass

    def load(self, checkpoint, *, policy_version):
        if not checkpoint.is_dir():
            raise CheckpointError(f"{checkpoint} is missing")
        self.policy_version = policy_version
        return ""

    def observe(self, observation):
        if len(observation.prompt) > 200:
            raise ValueError("the prompt must fit")
        if observation.state[0] > 3.0:
            raise ValueError("the state must be in range")
        return ModelObservation(
            images=observation.images,
            image_mask=observation.image_mask,
            prompt_tokens=np.full(4, len(observation.prompt), np.int32),
            prompt_mask=np.ones(4, bool),
            state=observation.state,
        )

    def act(self, observation, *, sequence_number):
        assert FakeActor.gate.wait(5.0)
        return SampledChunk(
            observation=observation,
            action_tokens=np.full(3, sequence_number, np.int32),
            token_mask=np.ones(3, bool),
            token_log_probs=np.full(3, -1.0, np.float32),
            value=VALUE,
            actions=np.tile(observation.state, (self._config.model.action_horizon, 1)),
            policy_version=self.policy_version,
            temperature=1.0,
            num_steps_asked=FakeActor.num_steps_asked,
            entropy=0.5,
            valid=sequence_number not in FakeActor.invalid,
        )

    def human_chunk(self, observation, commanded):
        sampled = self.act(observation, sequence_number=0)
        return dataclasses.replace(sampled, human_driven=True, num_steps_asked=len(commanded))

    def why_invalid(self, chunk):
        return f"no '|' in chunk {chunk.action_tokens[0]}"

    def value(self, observation):
        return VALUE + self.policy_version
