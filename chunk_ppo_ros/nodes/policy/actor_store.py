"""Keeps the actors of the checkpoints that policy_node is told to act with."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from chunk_ppo_ros.agent.actor import Actor
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.robot.chunk_length import without_schedule


class ActorStore:
    """Returns the actor of a checkpoint.

    In training there is one actor, which takes the weights of each new version. Deployed checkpoints have an actor
    each, with their own tokenizers. All are loaded at first, so that a change takes no time by which an operator could
    tell it.

    Args:
        config: the configuration of the run.

    Attributes:
        note: why the newest weights were not loaded beside those before, or empty where they were.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.note = ""
        self._config = config
        self._trained: Actor | None = None
        self._deployed: dict[Path, Actor] = {}

    def actor_of(self, path: Path, *, policy_version: int) -> Actor:
        """Returns the actor with the weights of a checkpoint, compiled and ready to act.

        Args:
            path: the folder of the checkpoint.
            policy_version: the version number that its chunks carry.

        Raises:
            CheckpointError: when a checkpoint is damaged or does not fit the configuration.
        """
        if self._config.deploy.is_deployment:
            return self._deployed_actor(path, policy_version)
        checkpoint = Checkpoint.open(path)
        if self._trained is not None:
            self.note = self._trained.load(checkpoint, policy_version=policy_version)
        else:
            self._trained = _ready(Actor(self._config, checkpoint, policy_version=policy_version))
        return self._trained

    def _deployed_actor(self, path: Path, policy_version: int) -> Actor:
        for known in (path, *map(Path, self._config.deploy.checkpoints)):
            if known not in self._deployed:
                self._deployed[known] = _ready(make_deployed_actor(self._config, known))
        actor = self._deployed[path]
        actor.policy_version = policy_version
        return actor


def make_deployed_actor(config: TrainConfig, path: Path) -> Actor:
    """Returns an actor that acts with a checkpoint as `deploy.decoding` says, and is not trained.

    Raises:
        CheckpointError: when the checkpoint is damaged or does not fit the configuration.
    """
    checkpoint = Checkpoint.open(path)
    length = without_schedule(
        config.chunk_length, horizon=config.model.action_horizon, policy_version=checkpoint.policy_version
    )
    config = dataclasses.replace(config, chunk_length=length)
    return Actor(config, checkpoint, policy_version=checkpoint.policy_version, greedy=config.deploy.is_greedy)


def _ready(actor: Actor) -> Actor:
    actor.warm_up()
    return actor
