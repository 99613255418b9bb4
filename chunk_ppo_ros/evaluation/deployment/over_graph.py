"""The part of the command `evaluate` that measures by a run without a trainer, over the graph of nodes."""

from __future__ import annotations

import argparse

from chunk_ppo_ros.core.files.deployed_run import RESULT_JSON
from chunk_ppo_ros.evaluation.deployment.command import run_deployment
from chunk_ppo_ros.evaluation.deployment.setup import deployment_config
from chunk_ppo_ros.runtime.graph_flags import chosen_flags


def refuse_flags(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> None:
    """Exits with status 2 where something was given that means nothing without `--graph`."""
    given = [f"--{name}" for name in chosen_flags(vars(parsed))]
    given += [str(parsed.checkpoint_b)] if parsed.checkpoint_b else []
    if given:
        listed = " and ".join(given)
        parser.error(f"--graph must be given with {listed}, got none; add --graph, or leave out {listed}")


def evaluate(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> int:
    """Measures by a run without a trainer, and returns the exit status.

    Raises:
        CheckpointError, SettingError: before any node is started, as `deployment_config` says.
    """
    config = deployment_config(parser, parsed)
    status = run_deployment(parser, parsed, config)
    results = config.run.folder / RESULT_JSON
    if parsed.json and results.exists():
        parsed.json.write_bytes(results.read_bytes())
    return status
