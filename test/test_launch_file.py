"""The launch file's reactions to what ends by itself, with small classes in the place of the package `launch`."""

from __future__ import annotations

import dataclasses
import importlib.util
import pathlib
import sys
import types
from typing import Any

import pytest

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import CONFIGURATION_ERROR, SettingError
from chunk_ppo_ros.runtime import supervisor
from chunk_ppo_ros.runtime.description import Graph, NodeDescription
from support.fake_node import SteadyClock

FILE = pathlib.Path(__file__).parents[1] / "launch" / "training.launch.py"


class Action:
    """An action of `launch`: it keeps what it was made with."""

    def __init__(self, *given: Any, **named: Any) -> None:
        self.given, self.named = given, named


class Shutdown(Action):
    """The action that ends the graph."""


class LogInfo(Action):
    """The action that logs a line."""


class LaunchConfiguration(Action):
    """The value of an argument, which the context of these tests has as a dict."""

    def perform(self, context: dict[str, str]) -> str:
        return context[self.given[0]]


STUBS = {
    "ament_index_python": {},
    "ament_index_python.packages": {"get_package_share_directory": Action},
    "launch": {"LaunchContext": Action, "LaunchDescription": Action, "LaunchDescriptionEntity": Action},
    "launch.actions": {
        "DeclareLaunchArgument": Action,
        "LogInfo": LogInfo,
        "OpaqueFunction": Action,
        "SetEnvironmentVariable": Action,
        "Shutdown": Shutdown,
    },
    "launch.events": {},
    "launch.events.process": {"ProcessExited": Action},
    "launch.substitutions": {"LaunchConfiguration": LaunchConfiguration},
    "launch_ros": {},
    "launch_ros.actions": {"Node": Action},
}
"""The modules that the launch file imports, and what it takes from each."""

GRAPH = Graph(
    nodes=tuple(
        NodeDescription(name=name, module=name, use_sim_time=False, environment={})
        for name in ("robot_node", "trainer_node")
    ),
    parameter_file=pathlib.Path("params.yaml"),
    run_dir=pathlib.Path("run"),
)


@pytest.fixture
def launch_file(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, attributes in STUBS.items():
        module = types.ModuleType(name)
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("training_launch", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclasses.dataclass
class Process:
    """The process of one node, of which tests say that it ended."""

    action: Action

    def end(self, code: int) -> Action:
        """Returns what the launch file does when the process has ended with an exit code."""
        (reaction,) = self.action.named["on_exit"](types.SimpleNamespace(returncode=code), None)
        return reaction


def start(launch_file: Any, name: str, *, on_node_exit: str) -> Process:
    (node,) = [node for node in GRAPH.nodes if node.name == name]
    return Process(launch_file.node_action(node, GRAPH, on_node_exit=on_node_exit))


@pytest.fixture
def clock(launch_file: Any, monkeypatch: pytest.MonkeyPatch) -> SteadyClock:
    clock = SteadyClock()
    monkeypatch.setattr(launch_file, "time", clock)
    return clock


def test_a_node_is_started_anew_as_often_as_the_supervisor_does_it(launch_file: Any, clock: SteadyClock) -> None:
    process = start(launch_file, "robot_node", on_node_exit="respawn")
    assert (process.action.named["respawn"], process.action.named["respawn_delay"]) == (True, supervisor.RESPAWN_DELAY)
    for _ in range(supervisor.MAX_RESPAWNS):
        assert isinstance(process.end(1), LogInfo)
        clock.now += 1.0
    reaction = process.end(1)
    assert isinstance(reaction, Shutdown)
    assert reaction.named["reason"] == (
        "robot_node ended with exit code 1; it was started anew 3 times in a row, and that does not help"
    )


def test_a_node_that_ran_well_in_between_is_counted_from_the_beginning(launch_file: Any, clock: SteadyClock) -> None:
    process = start(launch_file, "robot_node", on_node_exit="respawn")
    for _ in range(supervisor.MAX_RESPAWNS + 2):
        assert isinstance(process.end(-9), LogInfo)
        clock.now += supervisor.RESPAWNED_WELL


def test_waiting_has_no_limit_and_starts_nothing(launch_file: Any) -> None:
    process = start(launch_file, "robot_node", on_node_exit="wait")
    assert not process.action.named["respawn"]
    assert all(isinstance(process.end(1), LogInfo) for _ in range(supervisor.MAX_RESPAWNS + 2))


@pytest.mark.parametrize(
    ("name", "on_node_exit", "code", "reason"),
    [
        ("trainer_node", "respawn", 0, "trainer_node is done; the run has ended"),
        (
            "trainer_node",
            "respawn",
            1,
            "trainer_node ended with exit code 1; start the graph again with",
        ),
        ("robot_node", "stop", 1, "robot_node ended with exit code 1"),
        ("robot_node", "respawn", CONFIGURATION_ERROR, "robot_node ended with exit code 2"),
        ("robot_node", "wait", CONFIGURATION_ERROR, "robot_node ended with exit code 2"),
    ],
)
def test_what_ends_the_graph(launch_file: Any, name: str, on_node_exit: str, code: int, reason: str) -> None:
    reaction = start(launch_file, name, on_node_exit=on_node_exit).end(code)
    assert isinstance(reaction, Shutdown)
    assert reaction.named["reason"].startswith(reason)


def test_a_domain_that_is_no_number_is_refused_by_a_sentence(
    launch_file: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = dict.fromkeys(("config", "sim", "task", "model", "checkpoint", "static_peers"), "")
    given = {"exp_name": str(tmp_path / "one"), "record": "false", "domain_id": "lab", "discovery": "localhost"}
    monkeypatch.setattr(launch_file, "load_config_file", lambda path: TrainConfig())
    with pytest.raises(SettingError) as caught:
        launch_file.start_graph({**empty, **given, "on_node_exit": "stop"})
    assert str(caught.value) == (
        "the ROS domain must be within 0..232, got lab; correct domain_id, or ROS_DOMAIN_ID with a real robot"
    )
