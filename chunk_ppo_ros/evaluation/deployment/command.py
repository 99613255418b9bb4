"""Lets a checkpoint act without a trainer, over the graph of nodes, in simulation or on a robot.

Model, task, time limit, temperature and prompt are those of the run that wrote the checkpoint, unless a flag says
otherwise. --params_file describes the robot, such as config/robot.yaml; without it the run is simulated.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.files.deployed_run import RESULT_JSON, RESULT_TEXT
from chunk_ppo_ros.evaluation.deployment.flags import deploy_parser
from chunk_ppo_ros.evaluation.deployment.plan import DeploymentPlan
from chunk_ppo_ros.evaluation.deployment.results import DeploymentResult
from chunk_ppo_ros.evaluation.deployment.setup import deployment_config
from chunk_ppo_ros.runtime.graph import run_graph


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo deploy CHECKPOINT`."""
    parser = deploy_parser()
    parsed = parser.parse_args(arguments)
    return run_deployment(parser, parsed, deployment_config(parser, parsed))


def run_deployment(parser: argparse.ArgumentParser, parsed: argparse.Namespace, config: TrainConfig) -> int:
    """Runs a graph without a trainer, prints its result, and returns the exit status."""
    status = run_graph(parser, parsed, config)
    print_result(config, resume=_resume_line(config) if status else "")
    return status


def print_result(config: TrainConfig, *, resume: str = "") -> None:
    """Writes and prints the result of the episodes so far, where there are some."""
    folder = config.run.folder
    try:
        result = DeploymentResult.read(folder, DeploymentPlan.of(config))
        if result.records:
            result.write(folder)
    except (UserError, OSError) as error:
        print(f"there is no result: {error}", flush=True)
        return
    if result.records:
        print(f"{result}\nresults: {folder / RESULT_TEXT}, {folder / RESULT_JSON}", flush=True)
    if resume:
        print(resume, flush=True)


def _resume_line(config: TrainConfig) -> str:
    folder = os.path.relpath(config.run.folder)
    return f"the run in {folder} goes on with the same command and --exp_name {config.run.exp_name} --resume"
