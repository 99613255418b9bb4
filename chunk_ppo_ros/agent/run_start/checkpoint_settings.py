"""Decides which settings a command takes from a checkpoint. Flags come first, then the checkpoint, then the preset."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Collection

from chunk_ppo_ros import config as config_module
from chunk_ppo_ros.agent.run_start.setting_lines import (
    describe,
    print_assumptions,
    print_history,
    recorded_prompts,
    shown_value,
    source_of,
)
from chunk_ppo_ros.agent.run_start.starting_checkpoint import (
    OpenedCheckpoint,
    StartingCheckpoint,
    open_pretrained,
    open_start,
)
from chunk_ppo_ros.config import PRESETS, RunConfig, TrainConfig, flags
from chunk_ppo_ros.config.flags.run_start import RunStart
from chunk_ppo_ros.core.errors import SettingError
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.run_settings import OF_THE_TASK, PROMPTS, RunSettings

READING = ("recordings.arm_order", "recordings.channel_order")
"""The settings that decide what recorded episodes mean, and that no check of their values would find wrong."""

TRAINED = ("model", "env", "chunk_length", "robot.control_rate", *PROMPTS)
"""The sections and settings that training takes from the checkpoint that it starts from."""

MEASURED = (*TRAINED, "ppo", *READING)
"""The sections and settings that an evaluation takes from a checkpoint. `ppo` changes no measurement, but a rule for
chunk lengths may need it."""


IMITATED = ("model", "robot.control_rate", *READING)
"""The settings that imitation takes from the checkpoint that it starts from. Prompts are those of the episodes."""

OF_THE_POLICY = (
    *("model", "chunk_length", "ppo", *PROMPTS),
    *("env.task", "env.task_settings", "env.max_episode_chunks"),
)
"""The sections and settings that a deployment takes from a checkpoint where a parameter file describes the robot."""


_TASK_UNKNOWN = (
    "{root} does not say which task it was trained on; name the preset of its run, such as --config demo, "
    "or give {flags}"
)


@dataclasses.dataclass(frozen=True)
class TrainingSetup:
    """The configuration and the start that the command line gives to a training.

    Attributes:
        config: the configuration of the run.
        start: the checkpoint that the run goes on from or begins with, from which `config` has its settings.
        given: which settings the command line gave.
        first_number: the lowest sequence number that is free, where a graph has used some.
    """

    config: TrainConfig
    start: StartingCheckpoint
    given: RunStart = dataclasses.field(default_factory=RunStart)
    first_number: int = 0


def config_for_measuring(
    parser: argparse.ArgumentParser,
    parsed: argparse.Namespace,
    checkpoint: Checkpoint,
    *,
    base: TrainConfig | None = None,
    needs_task: bool = True,
    only_recorded: bool = False,
) -> TrainConfig:
    """Returns the configuration to measure a checkpoint with. It also prints it in one line.

    The line also says which settings differ from those of the checkpoint's run.

    Args:
        parser: the parser, which exits with the usage if the flags do not fit.
        parsed: the arguments that it parsed, with the flags of the configuration.
        checkpoint: the checkpoint to measure.
        base: the configuration for settings that neither the flags nor the checkpoint give. Without it, this is the
            preset of `--config`.
        needs_task: whether the measurement means nothing on another task than that of the checkpoint.
        only_recorded: whether recorded episodes alone are measured. Nothing is then printed of task and simulator.

    Raises:
        SettingError: when `needs_task` is set, but neither the checkpoint nor a flag says the task.
    """
    missing = [] if parsed.config_is_given or not needs_task else _missing_flags(parsed, checkpoint)
    if missing:
        raise SettingError(_TASK_UNKNOWN.format(root=checkpoint.root, flags=", ".join(missing)))
    flags.print_unused(parsed)
    config = _config(parser, parsed, checkpoint, names=MEASURED, base=base)
    if only_recorded:
        print(f"the model is that of {checkpoint.root}; {recorded_prompts(config)}", flush=True)
        print_assumptions(checkpoint, config)
        return config
    changed = checkpoint.settings.only(OF_THE_TASK).changes(config)
    differs = f"; otherwise than in its run: {', '.join(changed)}" if changed else ""
    print(f"{describe(config)}; {source_of(checkpoint, parsed.config)}{differs}", flush=True)
    print_assumptions(checkpoint, config)
    return config


def config_for_deploying(
    parser: argparse.ArgumentParser,
    parsed: argparse.Namespace,
    checkpoint: Checkpoint,
    *,
    robot: TrainConfig | None,
) -> TrainConfig:
    """Returns the configuration to let a checkpoint act with, without a trainer. It also prints it in one line.

    Args:
        parser: the parser, which exits with the usage if the flags do not fit.
        parsed: the arguments that it parsed, with the flags of the configuration.
        checkpoint: the checkpoint that acts.
        robot: the configuration that describes the robot, the simulator and the rewards. None takes those of the
            checkpoint and of the preset of `--config`, as `config_for_measuring` does.

    Raises:
        SettingError: when neither the checkpoint nor `robot` nor a flag says the task.
    """
    missing = [] if parsed.config_is_given or robot else _missing_flags(parsed, checkpoint)
    if missing:
        raise SettingError(_TASK_UNKNOWN.format(root=checkpoint.root, flags=", ".join(missing)))
    names = OF_THE_POLICY if robot else MEASURED
    config = _config(parser, parsed, checkpoint, names=names, base=robot)
    source = f"the robot is that of {parsed.params_file}; " if robot else ""
    print(f"{describe(config)}; {source}{source_of(checkpoint, parsed.config)}", flush=True)
    print_assumptions(checkpoint, config)
    print_history(checkpoint)
    return config


def setup_for_training(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> TrainingSetup:
    """Returns the configuration and the checkpoint of a run. It also prints what the run trains on and by which preset.

    A checkpoint that cannot be opened gives no settings. The learner then fails or takes fresh weights, and says why.
    """
    flags.print_unused(parsed)
    given = flags.given_at_start(parsed)
    start = open_start(_run_section(parser, parsed))
    if not isinstance(start, OpenedCheckpoint):
        print(flags.preset_line(parsed))
        config = flags.config_or_exit(parser, parsed)
        print(f"{describe(config)}; the settings are those of preset {parsed.config} and the flags", flush=True)
        return TrainingSetup(config, start, given)
    config = _config(parser, parsed, start.checkpoint, names=TRAINED)
    print(f"{describe(config)}; {source_of(start.checkpoint, parsed.config)}")
    others = "all other settings, such as those of ppo and reward,"
    print(f"{others} are those of preset {parsed.config} (--config)", flush=True)
    print_assumptions(start.checkpoint, config)
    print_history(start.checkpoint)
    return TrainingSetup(config, start, given)


def setup_for_imitation(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> TrainingSetup:
    """Returns the configuration and the checkpoint of an imitation, and prints what of it is the checkpoint's.

    A checkpoint that cannot be opened gives no settings. The imitation then refuses it.
    """
    start = open_pretrained(_run_section(parser, parsed))
    if not isinstance(start, OpenedCheckpoint):
        return TrainingSetup(flags.config_or_exit(parser, parsed), start)
    config = _config(parser, parsed, start.checkpoint, names=IMITATED)
    taken = [
        f"{name} {shown_value(value)}" for name, value in start.checkpoint.settings.only(IMITATED[1:]).values.items()
    ]
    print(f"the model is that of {start.checkpoint.root}" + (f", and so are {', '.join(taken)}" if taken else ""))
    print_assumptions(start.checkpoint, config)
    print_history(start.checkpoint)
    return TrainingSetup(config, start)


def _config(
    parser: argparse.ArgumentParser,
    parsed: argparse.Namespace,
    checkpoint: Checkpoint,
    *,
    names: Collection[str],
    base: TrainConfig | None = None,
) -> TrainConfig:
    stored = _without_replaced_prompts(checkpoint.settings.only(names), parsed).sections()
    try:
        return flags.config_from_flags(parsed, base=base, stored=stored)
    except ValueError as error:
        parser.error(f"{error} (with the settings of {checkpoint.root}, which flags replace)")


def _without_replaced_prompts(settings: RunSettings, parsed: argparse.Namespace) -> RunSettings:
    """Returns the settings without a prompt that the flag of a list replaces, and without a list that --prompt does."""
    replaced = "episode.prompts" if parsed.prompt is not None else "run.prompt" if parsed.prompts is not None else ""
    return settings.only([name for name in settings.values if name != replaced])


def _missing_flags(parsed: argparse.Namespace, checkpoint: Checkpoint) -> list[str]:
    """Returns the flags that say what the checkpoint does not say and no flag gives."""
    needed = ("env.task", "env.simulator", "env.max_episode_chunks", "model.temperature")
    unknown = [name.split(".")[1] for name in needed if name not in checkpoint.settings.values]
    return [f"--{name}" for name in unknown if getattr(parsed, name) is None]


def _run_section(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> RunConfig:
    """Returns the section `run` alone. The other sections may fit each other only with the checkpoint's settings."""
    names = (field.name for field in dataclasses.fields(RunConfig))
    given = {name: getattr(parsed, name) for name in names if getattr(parsed, name, None) is not None}
    try:
        return config_module.from_dict(RunConfig, given, base=PRESETS[parsed.config].run, path="run.")
    except ValueError as error:
        parser.error(str(error))
