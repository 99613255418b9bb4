"""The launch files' arguments and reactions to what ends by itself, with small classes in the place of `launch`."""

from __future__ import annotations

import dataclasses
import pathlib
import types
from collections.abc import Iterator
from typing import Any

import pytest

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import CONFIGURATION_ERROR, SettingError
from chunk_ppo_ros.evaluation.deployment import setup
from chunk_ppo_ros.runtime import respawns
from chunk_ppo_ros.runtime.description import Graph, NodeDescription
from support.fake_node import SteadyClock
from support.launch_stubs import Action, DeclareLaunchArgument, LogInfo, Shutdown, load_launch_file, stubbed_launch

ROBOT_NODE = NodeDescription(name="robot_node", module="robot_node", use_sim_time=False, environment={})
TRAINER_NODE = dataclasses.replace(ROBOT_NODE, name="trainer_node", respawn_arguments=("-p", "run.resume:=true"))
GRAPH = Graph(nodes=(ROBOT_NODE, TRAINER_NODE), parameter_file=pathlib.Path("params.yaml"), run_dir=pathlib.Path("run"))


@pytest.fixture
def actions() -> Iterator[Any]:
    with stubbed_launch() as module:
        yield module


@dataclasses.dataclass
class Process:
    """The process of one node, of which tests say that it ended."""

    action: Action

    def end(self, code: int) -> Action:
        """Returns what the launch file does when the process has ended with an exit code."""
        (reaction,) = self.action.named["on_exit"](types.SimpleNamespace(returncode=code), None)
        return reaction


def start(actions: Any, name: str, *, on_node_exit: str) -> Process:
    (node,) = [node for node in GRAPH.nodes if node.name == name]
    return Process(actions.node_action(node, GRAPH, on_node_exit=on_node_exit))


@pytest.fixture
def clock(actions: Any, monkeypatch: pytest.MonkeyPatch) -> SteadyClock:
    clock = SteadyClock()
    monkeypatch.setattr(actions, "time", clock)
    return clock


def test_a_node_is_started_anew_as_often_as_the_supervisor_does_it(actions: Any, clock: SteadyClock) -> None:
    process = start(actions, "robot_node", on_node_exit="respawn")
    assert (process.action.named["respawn"], process.action.named["respawn_delay"]) == (True, respawns.RESPAWN_DELAY)
    for _ in range(respawns.MAX_RESPAWNS):
        assert isinstance(process.end(1), LogInfo)
        clock.now += 1.0
    reaction = process.end(1)
    assert isinstance(reaction, Shutdown)
    assert reaction.named["reason"] == (
        "robot_node ended with exit code 1; it was started anew 8 times in a row, and that does not help"
    )


def test_a_node_that_ran_well_in_between_is_counted_from_the_beginning(actions: Any, clock: SteadyClock) -> None:
    process = start(actions, "robot_node", on_node_exit="respawn")
    for _ in range(respawns.MAX_RESPAWNS + 2):
        assert isinstance(process.end(-9), LogInfo)
        clock.now += respawns.RESPAWNED_WELL


def test_waiting_has_no_limit_and_starts_nothing(actions: Any) -> None:
    process = start(actions, "robot_node", on_node_exit="wait")
    assert not process.action.named["respawn"]
    assert all(isinstance(process.end(1), LogInfo) for _ in range(respawns.MAX_RESPAWNS + 2))


@pytest.mark.parametrize(
    ("name", "on_node_exit", "code", "reason"),
    [
        ("trainer_node", "respawn", 0, "trainer_node is done; the run has ended"),
        ("trainer_node", "respawn", 3, "trainer_node is done, but it trained from fresh weights that nobody asked for"),
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
def test_what_ends_the_graph(actions: Any, name: str, on_node_exit: str, code: int, reason: str) -> None:
    reaction = start(actions, name, on_node_exit=on_node_exit).end(code)
    assert isinstance(reaction, Shutdown)
    assert reaction.named["reason"].startswith(reason)


def test_a_node_that_ends_the_run_is_started_anew_where_it_needs_no_other_arguments(actions: Any) -> None:
    """deployment_node goes on from the folder of its run by itself."""
    node = dataclasses.replace(ROBOT_NODE, name="deployment_node")
    graph = dataclasses.replace(GRAPH, nodes=(node,), ends_with="deployment_node")
    process = Process(actions.node_action(node, graph, on_node_exit="respawn"))
    assert process.action.named["respawn"]
    assert isinstance(process.end(-9), LogInfo)
    assert process.end(0).named["reason"] == "deployment_node is done; the run has ended"


def test_a_domain_that_is_no_number_is_refused_by_a_sentence(
    actions: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch_file = load_launch_file("training.launch.py")
    empty = dict.fromkeys(("config", "sim", "task", "model", "checkpoint", "static_peers"), "")
    given = {"exp_name": str(tmp_path / "one"), "record": "false", "domain_id": "lab", "discovery": "localhost"}
    monkeypatch.setattr(launch_file, "load_config_file", lambda path: TrainConfig())
    monkeypatch.setattr(launch_file, "settings_of_file", lambda path: ())
    with pytest.raises(SettingError) as caught:
        actions.start_graph({**empty, **given, "on_node_exit": "stop"}, launch_file.configure)
    assert str(caught.value) == (
        "the ROS domain must be within 0..232, got lab; correct domain_id, or ROS_DOMAIN_ID with a real robot"
    )


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("training.launch.py", {"config", "sim", "task", "model", "exp_name", "checkpoint"}),
        ("policy.launch.py", {"checkpoint", "config", "sim", "exp_name", "resume", "decoding", "episodes"}),
    ],
)
def test_every_argument_is_declared_and_described(actions: Any, file: str, names: set[str]) -> None:
    description = load_launch_file(file).generate_launch_description()
    declared = [action for action in description.given[0] if isinstance(action, DeclareLaunchArgument)]
    assert {action.given[0] for action in declared} >= {*names, "record", "discovery", "domain_id", "on_node_exit"}
    assert all(action.named["description"] for action in declared)
    assert all(action.named["choices"] is None or "" not in action.named["choices"][1:] for action in declared)


def test_the_arguments_of_the_policy_are_the_flags_of_deploy(actions: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    launch_file = load_launch_file("policy.launch.py")
    seen: list[list[str]] = []
    monkeypatch.setattr(launch_file, "config_from_arguments", lambda arguments: seen.append(arguments) or TrainConfig())
    given = dict.fromkeys(launch_file.FLAGS, "") | {"checkpoint": "step_3", "resume": "true", "decoding": "sample"}
    launch_file.configure({**given, "episodes": "24"}.__getitem__)
    assert seen == [["step_3", "--decoding", "sample", "--episodes", "24", "--resume"]]
    parser = setup.DeployParser(prog="deploy", description=None)
    parsed = parser.parse_args([*seen[0], "--temperature", "0.5", "--simulator", "none", "--params_file", "a.yaml"])
    assert (str(parsed.checkpoint), parsed.decoding, parsed.episodes, parsed.resume) == ("step_3", "sample", 24, True)
    assert {flag.removeprefix("--") for flag in launch_file.FLAGS.values()} <= set(vars(parsed))


def test_a_wrong_argument_of_the_policy_is_an_error_in_one_line(actions: Any, tmp_path: pathlib.Path) -> None:
    launch_file = load_launch_file("policy.launch.py")
    given = dict.fromkeys(launch_file.FLAGS, "") | {"checkpoint": str(tmp_path), "resume": "false"}
    with pytest.raises(SettingError, match="invalid int value: 'many'"):
        launch_file.configure({**given, "episodes": "many"}.__getitem__)
