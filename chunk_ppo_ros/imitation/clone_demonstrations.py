"""Imitates the simulator's scripted demonstrations with fresh weights, tokenizers and norm_stats.

It writes an openpi checkpoint (`params/` and `assets/`), from which training starts as from any published one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path

import jax
import numpy as np

from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.agent.run_start.tokenizer_fitting import check_tokenizers, fit
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import SettingError
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.core_jax.arrays import Params
from chunk_ppo_ros.core_jax.parameter_groups import ACTOR
from chunk_ppo_ros.imitation import behavior_cloning
from chunk_ppo_ros.imitation.stages import imitation_stage, record_of_demonstrations
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.model.checkpoints.atomic_folder import check_is_free
from chunk_ppo_ros.model.checkpoints.metadata import Provenance
from chunk_ppo_ros.model.checkpoints.run_settings import RunSettings
from chunk_ppo_ros.model.checkpoints.saving import save_openpi_checkpoint
from chunk_ppo_ros.reporting.progress import progress_bar
from chunk_ppo_ros.sim.experts.demonstrations import collect_demonstrations
from chunk_ppo_ros.sim.simulator import check_simulator_cameras, make_simulator
from chunk_ppo_ros.sim.tasks.registry import prompts_of


def clone_demonstrations(config: TrainConfig, directory: Path, *, also_after: Collection[int] = ()) -> Path:
    """Collects demonstrations in the configured simulator, clones them and writes an openpi checkpoint.

    Args:
        config: configuration of the demonstrations and of the cloning.
        directory: folder of the checkpoint.
        also_after: gradient steps after which a further checkpoint is written, in `<directory>-<step>`.

    Returns:
        The checkpoint's folder, `directory`.

    Raises:
        CheckpointError: when the folder exists already, which is checked first, or cannot be written.
        SettingError, RegistryError: for settings that the simulator cannot honor, and for a prompt that is too long.
        SimulatorUnavailable: when the simulator cannot render here.
    """
    earlier = {step: directory.with_name(f"{directory.name}-{step}") for step in also_after}
    for folder in (directory, *earlier.values()):
        check_is_free(folder)
    _check_demonstrable(config)
    settings = config.pretrain
    with progress_bar("demonstrations", unit="episode", total=settings.num_demonstrations) as bar:
        demonstrations = collect_demonstrations(config, on_episode=bar.update)
    number = count_of(settings.num_demonstrations, "episode")
    print(f"the demonstrator solved {np.mean(demonstrations.success):.0%} of {number}")
    tokenizer = fit(demonstrations, config)
    for prompt in prompts_of(config):  # A prompt that comes seldom may be in no demonstration.
        tokenizer.check_prompt(prompt.text)
    policy = Pi0FASTActorCritic(config.model, tokenizer.token_ids, tokenizer.constraint())
    params = policy.init(key=jax.random.key(config.run.seed))

    record = record_of_demonstrations(demonstrations, config)
    history = restore.fresh_history(Provenance("scratch")).then(imitation_stage(config, record))

    def save(folder: Path, actor_backbone: Params) -> Path:
        return save_openpi_checkpoint(
            folder, actor_backbone, write_assets=tokenizer.save, settings=RunSettings.of(config), history=history
        )

    def on_params(step: int, actor_backbone: Params) -> None:
        if step in earlier:
            save(earlier[step], actor_backbone)

    batch = behavior_cloning.tokenize(demonstrations, tokenizer)
    with behavior_cloning.cloning_progress(settings.bc_steps) as on_step:
        params = behavior_cloning.clone(policy, params, batch, config, on_step=on_step, on_params=on_params)
    return save(directory, params[ACTOR])


def _check_demonstrable(config: TrainConfig) -> None:
    """Refuses settings that the imitation or the simulator cannot honor, before anything is demonstrated.

    Raises:
        UserError: for tokenizers that cannot be used.
        SettingError, RegistryError: for a task, a setting, cameras or a control rate that the simulator does not have.
        SimulatorUnavailable: when the simulator cannot render here.
    """
    start = config.run.pretrained_checkpoint_path
    if start:
        raise SettingError(
            "run.pretrained_checkpoint_path must be empty to imitate demonstrations, which begins from fresh weights, "
            f"got {start}; leave it out, or imitate recorded episodes by --episodes"
        )
    check_tokenizers(config)
    with contextlib.closing(make_simulator(config)) as simulator:
        check_simulator_cameras(config, simulator.camera_names)
