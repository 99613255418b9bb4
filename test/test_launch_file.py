"""The launch files' arguments and reactions to what ends by itself, with small classes in the place of `launch`."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import types
from collections.abc import Iterator
from typing import Any

import pytest

from chunk_ppo_ros.config import MODELS, TrainConfig
from chunk_ppo_ros.core.errors import CONFIGURATION_ERROR, SettingError
from chunk_ppo_ros.evaluation.deployment import setup
from chunk_ppo_ros.nodes.launching.arguments import Given, check_names, is_started_directly
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
        (reaction,) = self.reactions(code, is_shutdown=False)
        return reaction

    def reactions(self, code: int, *, is_shutdown: bool) -> list[Action]:
        """Returns everything that the launch file does then, also while `launch` ends all processes."""
        context = types.SimpleNamespace(is_shutdown=is_shutdown)
        found: list[Action] = self.action.named["on_exit"](types.SimpleNamespace(returncode=code), context)
        return found


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
    with pytest.raises(actions.RunFailed) as caught:
        process.end(1)
    assert str(caught.value) == (
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


@pytest.mark.parametrize("on_node_exit", ["stop", "wait", "respawn"])
def test_a_node_that_the_run_does_not_need_never_ends_it(actions: Any, on_node_exit: str) -> None:
    node = dataclasses.replace(ROBOT_NODE, name="recorder_node", is_needed=False)
    process = Process(actions.node_action(node, GRAPH, on_node_exit=on_node_exit))
    assert process.action.named["respawn"]
    assert all(isinstance(process.end(-9), LogInfo) for _ in range(respawns.MAX_RESPAWNS + 2))
    with pytest.raises(actions.RunFailed):
        process.end(CONFIGURATION_ERROR)


@pytest.mark.parametrize(
    ("name", "on_node_exit", "code", "reason"),
    [
        ("trainer_node", "respawn", 3, "trainer_node is done, but it trained from fresh weights that nobody asked for"),
        (
            "trainer_node",
            "respawn",
            1,
            "trainer_node ended with exit code 1; start the graph again with",
        ),
        ("robot_node", "stop", 1, "robot_node ended with exit code 1"),
        ("robot_node", "stop", -9, "robot_node was killed by signal 9"),
        ("robot_node", "respawn", CONFIGURATION_ERROR, "robot_node ended with exit code 2"),
        ("robot_node", "wait", CONFIGURATION_ERROR, "robot_node ended with exit code 2"),
    ],
)
def test_what_ends_the_graph_with_exit_code_1(
    actions: Any, name: str, on_node_exit: str, code: int, reason: str
) -> None:
    """`launch` exits with 1 only where an exception reaches it."""
    process = start(actions, name, on_node_exit=on_node_exit)
    with pytest.raises(actions.RunFailed) as caught:
        process.end(code)
    assert str(caught.value).startswith(reason)


def test_the_end_of_the_run_ends_the_graph_with_exit_code_0(actions: Any) -> None:
    reaction = start(actions, "trainer_node", on_node_exit="respawn").end(0)
    assert isinstance(reaction, Shutdown)
    assert reaction.named["reason"] == "trainer_node is done; the run has ended"


@pytest.mark.parametrize("code", [0, 1, -9])
def test_a_node_that_ends_while_all_are_stopped_is_no_news(actions: Any, code: int) -> None:
    assert start(actions, "robot_node", on_node_exit="stop").reactions(code, is_shutdown=True) == []


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
    given = {"run_dir": str(tmp_path), "checkpoint_root": str(tmp_path), "domain_id": "lab", "discovery": "localhost"}
    with pytest.raises(SettingError) as caught:
        actions.start_graph(Given({**given, "on_node_exit": "stop"}), training(monkeypatch).configure)
    assert str(caught.value) == ("the ROS domain must be within 0..232, got lab; correct domain_id or ROS_DOMAIN_ID")


def training(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Returns the launch file of a training whose parameter file has no values, and whose run has no checkpoint."""
    launch_file = load_launch_file("training.launch.py")
    monkeypatch.setattr(launch_file, "load_config_file", lambda path: TrainConfig())
    monkeypatch.setattr(launch_file, "settings_of_file", lambda path: ())
    return launch_file


def test_every_setting_is_an_argument_of_a_training(
    actions: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = {"learning_rate": "2e-5", "ppo.gamma": "0.9", "sources": "task scale", "prompt": "put it down"}
    switches = {"autostart": "false", "wandb": "False", "run.resume": "", "sim": "kinematic", "model": "tiny"}
    places = {"run_dir": str(tmp_path), "checkpoint_root": str(tmp_path), "exp_name": "one"}
    config = training(monkeypatch).configure(Given({**named, **switches, **places, "record": "false"}))
    assert (config.ppo.learning_rate, config.ppo.gamma, config.reward.sources) == (2e-5, 0.9, ("task", "scale"))
    assert (config.run.autostart, config.run.wandb, config.run.resume) == (False, False, False)
    assert (config.run.prompt, config.env.simulator, config.model) == ("put it down", "kinematic", MODELS["tiny"])
    assert config.run.folder == tmp_path / "one"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"wandb": "maybe"}, "wandb must be true or false, got maybe"),
        ({"gamma": "3"}, "gamma must be within 0.0..1.0, got 3.0"),
        ({"gamma": "much"}, "--gamma must be a number, got 'much'"),
        ({"sim": "mujoco", "simulator": "kinematic"}, "sim and simulator are two names of one argument"),
        ({"namespace": "1st cell"}, "namespace must be made of letters"),
    ],
)
def test_a_wrong_argument_of_a_training_is_an_error_in_one_line(
    actions: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], text: str
) -> None:
    places = {"run_dir": str(tmp_path), "checkpoint_root": str(tmp_path), "discovery": "localhost"}
    with pytest.raises(ValueError, match=re.escape(text)):
        actions.start_graph(Given({**places, **given}), training(monkeypatch).configure)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("simulater", "did you mean simulator?"),
        ("name_space", "did you mean namespace?"),
        ("ppo.learning_rte", "did you mean ppo.learning_rate"),
        ("xyz", "--show-args lists the arguments"),
    ],
)
def test_an_unknown_argument_is_refused_and_near_ones_are_named(actions: Any, name: str, advice: str) -> None:
    with pytest.raises(SettingError, match=f"unknown argument {name}; {advice}"):
        check_names(["task", "learning_rate", "launch-prefix", name], ["task", "simulator", "namespace"])


def test_arguments_of_a_launch_file_that_includes_this_one_are_left_alone() -> None:
    directly = ["/opt/ros/bin/ros2", "launch", "chunk_ppo_ros", "training.launch.py", "resume:=true"]
    assert is_started_directly("training.launch.py", directly)
    assert is_started_directly("training.launch.py", ["ros2", "launch", "./launch/training.launch.py"])
    assert not is_started_directly("training.launch.py", ["ros2", "launch", "lab", "lab.launch.py", "rviz:=true"])


def test_namespace_and_log_level_reach_every_node(actions: Any, tmp_path: pathlib.Path) -> None:
    graph = dataclasses.replace(GRAPH, namespace="/cell_1", log_level="debug")
    (action,) = [actions.node_action(node, graph, on_node_exit="stop") for node in graph.nodes[:1]]
    assert (action.named["namespace"], action.named["ros_arguments"]) == ("/cell_1", ["--log-level", "debug"])
    plain = actions.node_action(GRAPH.nodes[0], GRAPH, on_node_exit="stop")
    assert (plain.named["namespace"], plain.named["ros_arguments"]) == (None, [])


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("training.launch.py", {"config", "sim", "simulator", "task", "model", "exp_name", "checkpoint"}),
        ("policy.launch.py", {"checkpoint", "config", "sim", "exp_name", "decoding", "episodes"}),
    ],
)
def test_every_argument_is_declared_and_described(actions: Any, file: str, names: set[str]) -> None:
    description = load_launch_file(file).generate_launch_description()
    declared = [action for action in description.given[0] if isinstance(action, DeclareLaunchArgument)]
    shared = {"record", "discovery", "domain_id", "on_node_exit", "resume", "run_dir", "autostart", "namespace"}
    assert {action.given[0] for action in declared} >= {*names, *shared, "log_level"}
    assert all(action.named["description"] for action in declared)
    assert all(action.named["choices"] is None or "" not in action.named["choices"][1:] for action in declared)


def test_the_arguments_of_the_policy_are_the_flags_of_deploy(actions: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    launch_file = load_launch_file("policy.launch.py")
    seen: list[list[str]] = []
    monkeypatch.setattr(launch_file, "config_from_arguments", lambda arguments: seen.append(arguments) or TrainConfig())
    given = {"checkpoint": "step_3", "resume": "true", "decoding": "sample", "sim": "none", "task": ""}
    launch_file.configure(Given({**given, "config": "a.yaml", "episodes": "24", "temperature": "0.5"}))
    (flags,) = seen
    assert flags[:5] == ["step_3", "--params_file", "a.yaml", "--episodes", "24"]
    parser = setup.DeployParser(prog="deploy")
    parsed = parser.parse_args(flags)
    assert (str(parsed.checkpoint), parsed.decoding, parsed.episodes, parsed.resume) == ("step_3", "sample", 24, True)
    assert (parsed.simulator, parsed.temperature, parsed.params_file, parsed.task) == ("none", 0.5, "a.yaml", None)


def test_a_wrong_argument_of_the_policy_is_an_error_in_one_line(actions: Any, tmp_path: pathlib.Path) -> None:
    launch_file = load_launch_file("policy.launch.py")
    given = {"checkpoint": str(tmp_path), "resume": "false", "episodes": "many"}
    with pytest.raises(SettingError, match="--episodes must be a whole number, got 'many'"):
        launch_file.configure(Given(given))
