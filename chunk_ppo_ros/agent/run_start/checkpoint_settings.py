"""Decides which settings a command takes from a checkpoint. Flags come first, then the checkpoint, then the preset."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Collection
from pathlib import Path

from chunk_ppo_ros import config as config_module
from chunk_ppo_ros.agent.run_start.learner_state import checkpoint_directory
from chunk_ppo_ros.config import PRESETS, RunConfig, TrainConfig, flags
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.run_settings import OF_THE_TASK
from chunk_ppo_ros.model.checkpoints.step_folders import newest_checkpoint

TRAINED = ("model", "env", "chunk_length", "run.prompt")
"""The sections and settings that training takes from the checkpoint that it starts from."""

MEASURED = (*TRAINED, "ppo")
"""The sections and settings that an evaluation takes from a checkpoint. `ppo` changes no measurement, but a rule for
chunk lengths may need it."""


def config_for_measuring(
    parser: argparse.ArgumentParser,
    parsed: argparse.Namespace,
    checkpoint: Checkpoint,
    *,
    base: TrainConfig | None = None,
) -> TrainConfig:
    """Returns the configuration to measure a checkpoint with. It also prints it in one line.

    The line also says which settings differ from those of the checkpoint's run.

    Args:
        parser: the parser, which exits with the usage if the flags do not fit.
        parsed: the arguments that it parsed, with the flags of the configuration.
        checkpoint: the checkpoint to measure.
        base: the configuration for settings that neither the flags nor the checkpoint give. Without it, this is the
            preset of `--config`.

    """
    config = _config(parser, parsed, checkpoint, names=MEASURED, base=base)
    changed = checkpoint.settings.only(OF_THE_TASK).changes(config)
    differs = f"; otherwise than in its run: {', '.join(changed)}" if changed else ""
    print(f"{describe(config)}; {_source(checkpoint, parsed.config)}{differs}", flush=True)
    return config


def config_for_training(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> TrainConfig:
    """Returns the configuration that a run begins or goes on with. It also prints in one line what the run trains on.

    A checkpoint that cannot be opened gives no settings. The learner then fails or takes fresh weights, and says why.
    """
    checkpoint = _start_of(_run_section(parser, parsed))
    if checkpoint is None:
        config = flags.config_or_exit(parser, parsed)
        print(f"{describe(config)}; the settings are those of preset {parsed.config} and the flags", flush=True)
        return config
    config = _config(parser, parsed, checkpoint, names=TRAINED)
    print(f"{describe(config)}; {_source(checkpoint, parsed.config)}", flush=True)
    return config


def describe(config: TrainConfig) -> str:
    """Returns one line with the task, simulator, time limit, temperature and prompt that a policy acts with."""
    env, length = config.env, config.chunk_length
    executed = "" if length.length_rule == "fixed" else f", chunks executed by the rule {length.length_rule}"
    if length.length_rule == "fixed" and length.executed_steps:
        executed = f", {length.executed_steps} steps of each chunk executed"
    prompt = f"prompt '{config.run.prompt}'" if config.run.prompt else "the task's own prompt"
    return (
        f"task {env.task}, simulator {env.simulator}, time limit {config.max_episode_steps} control steps "
        f"({env.max_episode_chunks} chunks of {config.model.action_horizon}), temperature {config.model.temperature:g}"
        f"{executed}, {prompt}"
    )


def _config(
    parser: argparse.ArgumentParser,
    parsed: argparse.Namespace,
    checkpoint: Checkpoint,
    *,
    names: Collection[str],
    base: TrainConfig | None = None,
) -> TrainConfig:
    stored = checkpoint.settings.only(names).sections()
    try:
        return flags.config_from_flags(parsed, base=base, stored=stored)
    except ValueError as error:
        parser.error(f"{error} (with the settings of {checkpoint.root}, which flags replace)")


def _source(checkpoint: Checkpoint, preset: str) -> str:
    """Returns a text that says where the settings come from that no flag gives."""
    said, root = checkpoint.settings.values, checkpoint.root
    unknown = checkpoint.settings.unknown
    left_out = f" (it has settings of another release, which are left out: {', '.join(unknown)})" if unknown else ""
    if "env.task" in said:
        return f"the settings are those of {root}{left_out} and the flags"
    missing = ["task", "simulator", "time limit", *([] if "model.temperature" in said else ["temperature"])]
    missing += [] if "run.prompt" in said else ["prompt"]
    return (
        f"{root} does not say its {', '.join(missing)}{left_out}, so they are those of preset {preset} and the flags; "
        "choose the preset by --config"
    )


def _run_section(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> RunConfig:
    """Returns the section `run` alone. The other sections may fit each other only with the checkpoint's settings."""
    names = (field.name for field in dataclasses.fields(RunConfig))
    given = {name: getattr(parsed, name) for name in names if getattr(parsed, name, None) is not None}
    try:
        return config_module.from_dict(RunConfig, given, base=PRESETS[parsed.config].run, path="run.")
    except ValueError as error:
        parser.error(str(error))


def _start_of(run: RunConfig) -> Checkpoint | None:
    """Returns the checkpoint that a run resumes or starts from, or None for fresh weights or if it cannot be opened."""
    try:
        if run.resume:
            newest = newest_checkpoint(checkpoint_directory(run))
            return None if newest is None else Checkpoint.open(newest)
        path = run.pretrained_checkpoint_path
        return Checkpoint.open(Path(path)) if path else None
    except CheckpointError:
        return None  # The learner opens it again and reports the error.
