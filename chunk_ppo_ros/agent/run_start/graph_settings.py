"""Gives the graph of nodes the settings of the checkpoint that its run starts from, before a node is started."""

from __future__ import annotations

import contextlib
from collections.abc import Collection

import jax

from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.agent.run_start.graph_own_parts import check_own_parts
from chunk_ppo_ros.agent.run_start.setting_lines import describe, print_assumptions, print_history
from chunk_ppo_ros.agent.run_start.starting_checkpoint import NoCheckpoint, OpenedCheckpoint, check_is_new, open_start
from chunk_ppo_ros.agent.run_start.whole_checkpoints import way_back
from chunk_ppo_ros.config import SIMULATORS, TrainConfig
from chunk_ppo_ros.core.errors import CheckpointError, ContradictedCheckpoint, MissingCheckpoint
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.run_settings import PROMPTS, RunSettings

OF_THE_GRAPH = (
    *("model", "chunk_length", *PROMPTS),
    *("env.task", "env.task_settings", "env.max_episode_chunks", "robot.control_rate"),
)
"""The sections and settings that a graph takes from a checkpoint. Those of cameras, clocks and drivers are never taken,
because they belong to the robot or to the simulator that is there."""


def with_checkpoint(config: TrainConfig, *, given: Collection[str], file: str = "") -> TrainConfig:
    """Returns the configuration of a graph with the settings of the checkpoint that its run starts from.

    What the user has given stays. If it contradicts the checkpoint, it is refused by name. The lines that are printed
    say what the policy acts on and what the checkpoint was made from.

    Args:
        config: the configuration of the flags and of the parameter file.
        given: the dotted names of settings that the user has given by flags or in the file; "model" stands for all
            settings of its section.
        file: the parameter file, for error texts; empty where there is none.

    Raises:
        MissingCheckpoint, ContradictedCheckpoint: when no checkpoint is at the path, or settings contradict it.
        CheckpointError: when there is nothing to resume, when the folder of the run is taken, or when the checkpoint
            cannot be loaded and must be.
        SettingError: when a prompt cannot be encoded, or the task does not exist.
        RegistryError, RewardError, TaskError: when a task or a reward term of somebody else cannot be used.
    """
    if not config.run.resume:
        check_is_new(config.run)
    start = open_start(config.run)
    if not isinstance(start, OpenedCheckpoint):
        check_own_parts(config)
    if isinstance(start, NoCheckpoint):
        return config
    if not isinstance(start, OpenedCheckpoint):
        if _must_load(config) or isinstance(start.error, MissingCheckpoint):
            raise start.error
        return config
    checkpoint = start.checkpoint
    resolved = _settings(checkpoint, given, config).over(config, file=checkpoint.root)
    check_own_parts(resolved)
    jax.config.update("jax_platforms", "cpu")  # Only shapes are compared here; the nodes need the whole accelerator.
    resumed = way_back(config.run, checkpoint.root) if config.run.resume else contextlib.nullcontext()
    try:
        with resumed:
            restore.check(checkpoint, resolved)
    except ContradictedCheckpoint as error:
        raise ContradictedCheckpoint(f"{error}{_lines_to_change(str(error), given, file)}") from error
    except CheckpointError:
        if _must_load(resolved):
            raise
    print(f"{describe(resolved)}; what was not given is that of {checkpoint.root}", flush=True)
    print_assumptions(checkpoint, resolved)
    print_history(checkpoint)
    return resolved


def _must_load(config: TrainConfig) -> bool:
    """Returns whether fresh weights must not replace a checkpoint that cannot be loaded."""
    return config.run.resume or config.run.on_load_failure == "fail" or config.env.is_real


def _settings(checkpoint: Checkpoint, given: Collection[str], config: TrainConfig) -> RunSettings:
    """Returns the settings of a checkpoint that a graph takes and the user has not given.

    The simulator is the checkpoint's where both are simulated. Nothing stored in a file decides that a robot moves.
    """
    both = not config.env.is_real and checkpoint.settings.values.get("env.simulator") in SIMULATORS
    stored = checkpoint.settings.only((*OF_THE_GRAPH, *(("env.simulator",) if both else ())))
    # A prompt and a list of prompts exclude each other, so that one of them replaces both.
    replaced = PROMPTS if any(name in given for name in PROMPTS) else ()
    taken = (*given, *replaced)
    return stored.only([name for name in stored.values if name not in taken and name.split(".")[0] not in taken])


def _lines_to_change(error: str, given: Collection[str], file: str) -> str:
    """Returns the end of an error text that names the settings of the user that contradict a checkpoint."""
    names = [name for name in dict.fromkeys(given) if name in error]
    if not names:
        return ""
    where = f"in {file} or leave out the flags" if file else "by leaving out the flags"
    return f" (change {', '.join(names)} {where})"
