"""Looks at a workstation and at a running robot, and says of each thing whether it is as it should be.

It commands nothing and changes nothing. It ends within a time limit, also where nothing runs.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Sequence

from chunk_ppo_ros.config import PRESETS, TrainConfig, flags
from chunk_ppo_ros.config.env import REAL_ROBOT
from chunk_ppo_ros.config.parameter_file import load_config_file
from chunk_ppo_ros.nodes.doctor import report
from chunk_ppo_ros.nodes.doctor.check_table import run_checks
from chunk_ppo_ros.nodes.doctor.facts import Facts
from chunk_ppo_ros.nodes.doctor.probes.checkpoint import weight_facts
from chunk_ppo_ros.nodes.doctor.probes.cv_bridge_test import cv_bridge_facts
from chunk_ppo_ros.nodes.doctor.probes.graph import look_at_graph
from chunk_ppo_ros.nodes.doctor.probes.model import model_facts
from chunk_ppo_ros.nodes.doctor.probes.workstation import disk_facts, gpu_facts, ros_facts

DEFAULT_PRESET = "full"
SECONDS = 3.0
"""How long the command listens to the robot, s."""


def collect(config: TrainConfig, *, seconds: float, namespace: str, looks_at_graph: bool) -> Facts:
    """Returns all facts. It takes about `seconds` + 1 s, and longer where a checkpoint is opened.

    Args:
        config: the settings that name topics, cameras and the checkpoint.
        seconds: how long it listens to the robot.
        namespace: the namespace of the graph.
        looks_at_graph: whether it looks at the robot, and not only at the workstation.
    """
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # Nothing is computed, and a GPU's memory belongs to the run.
    return Facts(
        config=config,
        ros=ros_facts(),
        gpu=gpu_facts(),
        model=model_facts(config.model, config.ppo),
        disk=disk_facts(config.run),
        cv_bridge=cv_bridge_facts(),
        weights=weight_facts(config.run),
        graph=look_at_graph(config, seconds=seconds, namespace=namespace) if looks_at_graph else None,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the findings. Returns 1 where one of them is an error, and 0 otherwise."""
    parser = _parser()
    given = parser.parse_args(arguments)
    config = _config(parser, given)
    facts = collect(config, seconds=given.seconds, namespace=given.namespace, looks_at_graph=not given.workstation)
    findings = run_checks(facts)
    print(report.as_json(findings) if given.json else report.as_table(findings))
    return 1 if report.has_errors(findings) else 0


def _config(parser: argparse.ArgumentParser, given: argparse.Namespace) -> TrainConfig:
    """Returns the settings. Without a parameter file and a preset they are those of a robot at Interbotix's driver."""
    base = PRESETS[given.config]
    if not given.config_is_given:
        env = dataclasses.replace(base.env, simulator=REAL_ROBOT, realtime=True)
        base = dataclasses.replace(base, env=env, robot=dataclasses.replace(base.robot, backend="interbotix"))
    try:
        base = load_config_file(given.params_file, base=base) if given.params_file else base
        return flags.config_from_flags(given, base=base)
    except ValueError as error:
        parser.error(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = flags.FlagParser(prog="chunk_ppo_ros doctor", description=__doc__)
    flags.add_config_flags(parser, preset=DEFAULT_PRESET)
    group = parser.add_argument_group("doctor")
    group.add_argument("--params_file", help="parameter file of the robot, such as config/robot.yaml")
    group.add_argument("--json", action="store_true", help="print a JSON object instead of a table")
    group.add_argument("--workstation", action="store_true", help="look at this machine only, not at a robot")
    group.add_argument("--namespace", default="", help="the namespace of the graph")
    group.add_argument("--seconds", type=float, default=SECONDS, help=f"how long to listen, s ({SECONDS:g})")
    return parser
