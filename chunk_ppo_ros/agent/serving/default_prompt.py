"""Decides which prompt a request has that says none."""

from __future__ import annotations

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.sim.tasks.registry import prompts_of

_SAYING = ("run.prompt", "env.task", "episode.prompts")
"""The settings of a checkpoint that say what its policy was told."""


def default_prompt(config: TrainConfig, checkpoint: Checkpoint, *, is_given: bool) -> str:
    """Returns the prompt of requests without one, or an empty text where each request must have its own.

    A policy of several prompts must be told which one is meant. A checkpoint that does not record its run, such as one
    of openpi, must not get the prompt of whatever task the preset has.

    Args:
        config: the settings that the policy is served with.
        checkpoint: the checkpoint that is served.
        is_given: whether a flag of the user says the prompt or the preset of the run.
    """
    prompts = prompts_of(config)
    is_said = is_given or any(name in checkpoint.settings.values for name in _SAYING)
    return prompts[0].text if is_said and len(prompts) == 1 else ""
