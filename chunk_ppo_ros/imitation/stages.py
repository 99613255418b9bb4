"""Says what an imitation was made from and with, for the history and the settings that its checkpoint keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.made_from.data_record import DEMONSTRATIONS, DataRecord
from chunk_ppo_ros.core.made_from.history import IMITATION, Stage
from chunk_ppo_ros.data.fingerprint import Fingerprint
from chunk_ppo_ros.model.checkpoints.run_settings import PROMPTS, RunSettings
from chunk_ppo_ros.sim.experts.demonstrations import Demonstrations

_KEPT = (
    *("model", "recordings.arm_order", "recordings.channel_order", *PROMPTS),
    *("robot.control_rate", "robot.gripper_convention", "robot.gripper_numbers"),
)
"""The sections and settings that the checkpoint of an imitation keeps."""


def imitation_stage(config: TrainConfig, data: DataRecord) -> Stage:
    """Returns the stage in which a policy imitated data with the settings of `config`."""
    settings = config.pretrain
    text = f"{settings.bc_steps} gradient steps of behavior cloning, {settings.bc_batch_size} chunks each"
    return Stage(IMITATION, text, data=data)


def record_of_demonstrations(demonstrations: Demonstrations, config: TrainConfig) -> DataRecord:
    """Returns the record of what a scripted expert did in the simulator of `config`."""
    fingerprint, rate = Fingerprint(), config.robot.control_rate
    for number, prompt in enumerate(demonstrations.prompts):
        rows = np.flatnonzero(demonstrations.episodes == number)
        fingerprint.add(
            demonstrations.state[rows],
            demonstrations.actions[rows],
            prompt=prompt,
            success=bool(demonstrations.success[number]),
            rate=rate,
        )
    return DataRecord(
        kind=DEMONSTRATIONS,
        origin=f"task {config.env.task}, simulator {config.env.simulator}",
        fingerprint=fingerprint.hexdigest(),
        episode_count=len(demonstrations.prompts),
        step_count=len(demonstrations.state),
        rate=rate,
        prompts=tuple(sorted(set(demonstrations.prompts))),
        gripper_convention=" ".join((config.robot.gripper_convention, *config.robot.gripper_numbers)),
    )


def kept_settings(config: TrainConfig, prompts: Sequence[str]) -> RunSettings:
    """Returns the settings that the checkpoint keeps: those of the model and of reading, and the prompts.

    It does not keep the task and the simulator of the configuration, because recorded episodes do not come from them.
    """
    # What differs only in capitals, blanks and underscores is one prompt, because the policy does not see it.
    seen = {" ".join(prompt.lower().replace("_", " ").split()): prompt for prompt in prompts}
    run, episode = config.run, config.episode
    if len(seen) == 1:
        run, episode = dataclasses.replace(run, prompt=prompts[0]), dataclasses.replace(episode, prompts=())
    elif not run.prompt:
        episode = dataclasses.replace(episode, prompts=tuple(f"1={prompt}" for prompt in seen.values()))
    return RunSettings.of(dataclasses.replace(config, run=run, episode=episode)).only(_KEPT)
