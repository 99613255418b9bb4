"""Starts the ROS graph without the launch package, with the settings of the checkpoint that the run starts from."""

from __future__ import annotations

from collections.abc import Sequence

from chunk_ppo_ros.agent.run_start.finished_run import end_if_done
from chunk_ppo_ros.agent.run_start.graph_settings import with_checkpoint
from chunk_ppo_ros.agent.run_start.starting_checkpoint import has_trained, open_start, way_to_go_on
from chunk_ppo_ros.config import RunConfig, flags
from chunk_ppo_ros.config.parameter_file import values_of_file
from chunk_ppo_ros.core.errors import CONFIGURATION_ERROR, RUNTIME_ERROR
from chunk_ppo_ros.core.folders import NewContent
from chunk_ppo_ros.runtime.description import LOGS
from chunk_ppo_ros.runtime.graph import given_config, graph_parser, run_graph


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo graph`.

    Flags come before the parameter file, the file before the checkpoint, and the checkpoint before the preset. What can
    be refused is refused before a folder is made or a node is started.
    """
    parser = graph_parser()
    given = parser.parse_args(arguments)
    config = given_config(parser, given)
    if (code := end_if_done(config, open_start(config.run))) is not None:
        return code
    file = values_of_file(given.params_file) if given.params_file else {}
    config = with_checkpoint(
        config, given=(*file, *flags.given_settings(given)), file=given.params_file if file else ""
    )
    checkpoints = NewContent(config.run.checkpoint_folder)
    status = run_graph(parser, given, config)
    if status in (RUNTIME_ERROR, CONFIGURATION_ERROR) and not _has_results(config.run):
        _remove_first_checkpoint(checkpoints)
        print(f"the logs of the nodes stay in {config.run.folder / LOGS}", flush=True)
    elif status > 128 and (way := way_to_go_on(config.run)):  # stopped by a signal
        print(way, flush=True)
    return status


def _has_results(run: RunConfig) -> bool:
    """Returns whether a run that ended by an error has something that must stay."""
    collected = any((run.folder / "store").rglob("*.log")) or any((run.folder / "journal").rglob("*.cdr"))
    return run.resume or collected or has_trained(run)


def _remove_first_checkpoint(new: NewContent) -> None:
    """Removes the first checkpoint of a run that failed before its first update and has collected nothing.

    Otherwise the corrected command would be refused.

    Args:
        new: knows what is new in the folder of the checkpoints.
    """
    if removed := ", ".join(map(str, new.remove())):
        text = f"the run failed at its start, so that this is removed: {removed}; the same name may be used again"
        print(text, flush=True)
