"""The commands of the nodes: which node each runs, and how."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from chunk_ppo_ros.nodes.classifier import classifier_node
from chunk_ppo_ros.nodes.common import worker_node
from chunk_ppo_ros.nodes.common.executors import make_step_executor
from chunk_ppo_ros.nodes.policy import policy_node
from chunk_ppo_ros.nodes.recorder import recorder_node
from chunk_ppo_ros.nodes.reward import reward_node
from chunk_ppo_ros.nodes.robot import robot_node
from chunk_ppo_ros.nodes.sim import sim_node
from chunk_ppo_ros.nodes.trainer import trainer_node

STEP = {"make_executor": make_step_executor}


@pytest.mark.parametrize(
    ("module", "node", "settings"),
    [
        (classifier_node, classifier_node.ClassifierNode, {}),
        (policy_node, policy_node.PolicyNode, STEP),
        (recorder_node, recorder_node.RecorderNode, {"close_timeout": 3.0}),
        (reward_node, reward_node.RewardNode, STEP),
        (robot_node, robot_node.RobotNode, STEP),
        (sim_node, sim_node.SimNode, STEP),
        (trainer_node, trainer_node.TrainerNode, {}),
    ],
    ids=lambda value: value.__name__.split(".")[-1] if isinstance(value, ModuleType) else "",
)
def test_a_command_runs_its_node_and_returns_its_status(
    module: ModuleType, node: type, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[Any, Any, dict[str, Any]]] = []

    def run(factory: Any, args: Any, **given: Any) -> int:
        calls.append((factory, args, given))
        return 7

    monkeypatch.setattr(module, "run_node" if hasattr(module, "run_node") else "run_worker_node", run)
    assert module.main(["--ros-args"]) == 7
    assert calls == [(node, ["--ros-args"], settings)]


class Node:
    """A node with a worker that may be at work."""

    is_working = False


@pytest.mark.parametrize("is_working", [True, False])
def test_a_job_that_still_runs_at_the_end_is_left_behind(is_working: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    exits: list[int] = []
    made: list[Node] = []
    monkeypatch.setattr(worker_node, "os", SimpleNamespace(**{"_exit": exits.append}))

    def make() -> Any:
        node = Node()
        node.is_working = is_working
        made.append(node)
        return node

    def run(factory: Any, args: Any, **_: Any) -> int:
        assert factory() is made[0]
        return 3

    monkeypatch.setattr(worker_node, "run_node", run)
    assert worker_node.run_worker_node(make, []) == 3
    assert exits == ([3] if is_working else [])


def test_a_node_that_could_not_be_made_ends_with_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_node, "run_node", lambda *_, **__: 2)
    assert worker_node.run_worker_node(lambda: pytest.fail("nothing makes a node"), []) == 2
