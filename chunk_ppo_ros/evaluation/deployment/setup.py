"""Makes the graph of a run without a trainer from the arguments of its command.

`deploy`, `evaluate --graph` and `launch/policy.launch.py` use it, so that all three take the same settings.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import jax

from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.agent.run_start.checkpoint_settings import config_for_deploying
from chunk_ppo_ros.config import PRESETS, TrainConfig
from chunk_ppo_ros.config.parameter_file import load_config_file
from chunk_ppo_ros.core.errors import CheckpointError, SettingError
from chunk_ppo_ros.evaluation.deployment import run_file
from chunk_ppo_ros.evaluation.deployment.flags import DeployParser
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.runtime.description import DEPLOYMENT_FILE


def deployment_config(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> TrainConfig:
    """Returns the configuration of a run without a trainer, after everything is checked that needs no node.

    Args:
        parser: the parser, which exits with the usage if the flags do not fit.
        parsed: the arguments that it parsed: `checkpoint`, `checkpoint_b`, `episodes`, `run_kind`, `params_file` and
            the flags of the configuration.

    Raises:
        CheckpointError: when a checkpoint is missing, damaged, or does not fit the settings.
        SettingError: when a setting is wrong, or the folder of the run is taken.
    """
    jax.config.update("jax_platforms", "cpu")  # Only shapes are compared here; policy_node needs the whole accelerator.
    paths = [path for path in (parsed.checkpoint, parsed.checkpoint_b) if path is not None]
    checkpoints = [Checkpoint.open(path) for path in paths]
    parsed.checkpoints = [str(checkpoint.root.resolve()) for checkpoint in checkpoints]
    parsed.num_episodes = parsed.episodes if parsed.num_episodes is None else parsed.num_episodes
    resumes = bool(parsed.resume)
    if parsed.exp_name is None:
        if resumes:
            parser.error("--exp_name must name the run to go on with, got none; give it with --resume")
        parsed.exp_name = time.strftime(f"{parsed.run_kind}-%Y%m%d-%H%M%S")
    config = config_for_deploying(parser, parsed, checkpoints[0], robot=_robot(parser, parsed))
    _check_folder(config, resumes=resumes)
    for checkpoint in checkpoints:
        _check(checkpoint, config)
    return config


def _robot(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> TrainConfig | None:
    if not parsed.params_file:
        return None
    try:
        return load_config_file(parsed.params_file, base=PRESETS[parsed.config] if parsed.config_is_given else None)
    except ValueError as error:
        parser.error(str(error))


def _check(checkpoint: Checkpoint, config: TrainConfig) -> None:
    """Refuses a checkpoint that policy_node could not load, and prints what of it is fresh."""
    try:
        notes = restore.check(checkpoint, config)
    except CheckpointError as error:
        raise CheckpointError(" ".join(str(error).split())) from error  # in one line
    for note in notes:
        print(f"{checkpoint.root}: {note}, so that values V(s) mean nothing; the policy acts without them", flush=True)


def _check_folder(config: TrainConfig, *, resumes: bool) -> None:
    """Refuses the folder of another run, and a run to go on with that is not there or had other settings."""
    folder = config.run.folder
    exists = (folder / DEPLOYMENT_FILE).exists()
    if resumes:
        if not exists:
            raise SettingError(
                f"{folder} must hold a run without a trainer to go on with, got none; leave out --resume"
            )
        run_file.DeployedRun.begin_or_continue(config)
    elif folder.is_dir() and any(folder.iterdir()):
        advice = "go on with it by --resume, or take another --exp_name" if exists else "take another --exp_name"
        raise SettingError(f"the folder of the run must be new or empty, got {folder}; {advice}")


def config_from_arguments(arguments: Sequence[str]) -> TrainConfig:
    """Returns the configuration of the arguments of `deploy`, and raises errors instead of ending the process.

    Raises:
        CheckpointError, SettingError: as `deployment_config` does, and for arguments that do not fit.
    """
    parser = DeployParser(prog="policy.launch.py", raises=True)
    return deployment_config(parser, parser.parse_args(arguments))
