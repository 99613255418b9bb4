"""Looks at a workstation and at a running robot, and says of each thing whether it is as it should be.

It commands nothing and changes nothing. It ends within a time limit, also where nothing runs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.findings import text as report
from chunk_ppo_ros.nodes.doctor.check_table import run_checks
from chunk_ppo_ros.nodes.doctor.checks.ros_setup import is_domain
from chunk_ppo_ros.nodes.doctor.facts import Facts
from chunk_ppo_ros.nodes.doctor.flags import doctor_parser
from chunk_ppo_ros.nodes.doctor.probes.checkpoint import weight_facts
from chunk_ppo_ros.nodes.doctor.probes.cv_bridge_test import cv_bridge_facts
from chunk_ppo_ros.nodes.doctor.probes.graph import look_at_graph
from chunk_ppo_ros.nodes.doctor.probes.model import model_facts
from chunk_ppo_ros.nodes.doctor.probes.workstation import disk_facts, gpu_facts, ros_facts
from chunk_ppo_ros.runtime.robot_flags import robot_config


def collect(config: TrainConfig, *, seconds: float, namespace: str, looks_at_graph: bool) -> Facts:
    """Returns all facts. It takes about `seconds` + 1 s, and longer where a checkpoint is opened.

    Args:
        config: the settings that name topics, cameras and the checkpoint.
        seconds: how long it listens to the robot.
        namespace: the namespace of the graph.
        looks_at_graph: whether it looks at the robot, and not only at the workstation. It does not where
            ROS_DOMAIN_ID is no domain, because ROS would end the process.
    """
    ros = ros_facts()
    looks_at_graph = looks_at_graph and is_domain(ros)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # Nothing is computed, and a GPU's memory belongs to the run.
    return Facts(
        config=config,
        ros=ros,
        gpu=gpu_facts(),
        model=model_facts(config.model, config.ppo),
        disk=disk_facts(config.run),
        cv_bridge=cv_bridge_facts(),
        weights=weight_facts(config.run, action_dim=config.model.action_dim),
        graph=look_at_graph(config, seconds=seconds, namespace=namespace) if looks_at_graph else None,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the findings. Returns 1 where one of them is an error, and 0 otherwise."""
    parser = doctor_parser()
    given = parser.parse_args(arguments)
    config = robot_config(parser, given)
    facts = collect(config, seconds=given.seconds, namespace=given.namespace, looks_at_graph=not given.workstation)
    findings = run_checks(facts)
    print(report.as_json(findings) if given.json else report.as_table(findings))
    return 1 if report.has_errors(findings) else 0
