"""Starts the ROS graph without the launch package, with the settings of the checkpoint that the run starts from."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence

from chunk_ppo_ros.agent.run_start.graph_settings import given_settings, with_checkpoint
from chunk_ppo_ros.agent.run_start.starting_checkpoint import has_trained, way_to_go_on
from chunk_ppo_ros.config import RunConfig, TrainConfig
from chunk_ppo_ros.config.parameter_file import settings_of_file
from chunk_ppo_ros.core.errors import CONFIGURATION_ERROR, RUNTIME_ERROR
from chunk_ppo_ros.runtime import graph


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo graph`.

    Flags come before the parameter file, the file before the checkpoint, and the checkpoint before the preset. What can
    be refused is refused before a folder is made or a node is started.
    """
    runs: list[RunConfig] = []

    def resolve(config: TrainConfig, given: argparse.Namespace) -> TrainConfig:
        file = settings_of_file(given.params_file) if given.params_file else ()
        resolved = with_checkpoint(
            config, given=(*file, *given_settings(given)), file=given.params_file if file else ""
        )
        runs.append(resolved.run)
        return resolved

    status = graph.main(arguments, resolve=resolve)
    if status in (RUNTIME_ERROR, CONFIGURATION_ERROR):
        _remove_first_checkpoint(runs[-1])
    elif status > 128 and (way := way_to_go_on(runs[-1])):  # stopped by a signal
        print(way, flush=True)
    return status


def _remove_first_checkpoint(run: RunConfig) -> None:
    """Removes the first checkpoint of a run that failed before its first update and has collected nothing.

    Otherwise the corrected command would be refused. The logs of the nodes stay.
    """
    collected = any((run.folder / "store").rglob("*.log")) or any((run.folder / "journal").rglob("*.cdr"))
    folder = run.checkpoint_folder
    if run.resume or collected or has_trained(run) or not folder.is_dir():
        return
    shutil.rmtree(folder)
    print(f"{folder} is removed, because the run failed at its start; the same name may be used again", flush=True)
