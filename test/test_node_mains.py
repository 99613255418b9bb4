"""Tests the commands of the nodes: which node each runs, and how."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from chunk_ppo_ros.nodes.classifier import classifier_node
from chunk_ppo_ros.nodes.deployment import deployment_node
from chunk_ppo_ros.nodes.policy import policy_node
from chunk_ppo_ros.nodes.recorder import recorder_node
from chunk_ppo_ros.nodes.reward import reward_node
from chunk_ppo_ros.nodes.robot import robot_node
from chunk_ppo_ros.nodes.sim import sim_node
from chunk_ppo_ros.nodes.trainer import trainer_node


@pytest.mark.parametrize(
    ("module", "node", "settings"),
    [
        (classifier_node, classifier_node.ClassifierNode, {}),
        (deployment_node, deployment_node.DeploymentNode, {}),
        (policy_node, policy_node.PolicyNode, {}),
        (recorder_node, recorder_node.RecorderNode, {"close_timeout": 3.0}),
        (reward_node, reward_node.RewardNode, {}),
        (robot_node, robot_node.RobotNode, {}),
        (sim_node, sim_node.SimNode, {}),
        (trainer_node, trainer_node.TrainerNode, {}),
    ],
    ids=lambda value: value.__name__.split(".")[-1] if isinstance(value, ModuleType) else "",
)
def test_a_command_runs_its_node(
    module: ModuleType, node: type, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[Any, Any, dict[str, Any]]] = []

    monkeypatch.setattr(module, "run_node", lambda factory, args, **given: calls.append((factory, args, given)))
    module.main(["--ros-args"])
    assert calls == [(node, ["--ros-args"], settings)]
