"""The launch files' arguments and reactions to what ends by itself, with small classes in the place of `launch`."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import sys
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chunk_ppo_ros.config import MODELS, TrainConfig
from chunk_ppo_ros.config.flags.run_start import RunStart
from chunk_ppo_ros.core.errors import CONFIGURATION_ERROR, SettingError
from chunk_ppo_ros.evaluation.deployment import setup
from chunk_ppo_ros.nodes.launching.arguments import Given, check_names, is_started_directly
from chunk_ppo_ros.runtime import supervised
from chunk_ppo_ros.runtime.description import Graph, NodeDescription
from chunk_ppo_ros.runtime.restarts import readiness, respawns
from support.launch_stubs import (
    Action,
    DeclareLaunchArgument,
    LogInfo,
    Shutdown,
    TimerAction,
    load_launch_file,
    stubbed_launch,
)

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROBOT_NODE = NodeDescription(name="robot_node", module="robot_node", use_sim_time=False, environment={"OMP": "1"})
TRAINER_NODE = dataclasses.replace(ROBOT_NODE, name="trainer_node", respawn_parameters={"run.resume": True})
VIEW_NODE = dataclasses.replace(ROBOT_NODE, name="view_node", is_needed=False)
GRAPH = Graph(
    nodes=(ROBOT_NODE, TRAINER_NODE, VIEW_NODE), parameter_file=pathlib.Path("params.yaml"), run_dir=pathlib.Path()
)


@pytest.fixture
def actions() -> Iterator[Any]:
    with stubbed_launch() as module:
        yield module


class Launch:
    """Starts the nodes of a graph, of whose processes tests say that they end."""

    def __init__(self, actions: Any, folder: pathlib.Path, *, on_node_exit: str) -> None:
        self.graph = dataclasses.replace(GRAPH, run_dir=folder)
        self._actions = actions.NodeActions(self.graph, on_node_exit=on_node_exit)
        self.started = {node.name: self._actions.start(node) for node in self.graph.nodes}

    def end(self, name: str, code: int, *, is_shutdown: bool = False) -> list[Action]:
        """Returns what `launch` is told to do when the process of a node has ended with an exit code.

        A process that is to be started anew is started at once.
        """
        context = types.SimpleNamespace(is_shutdown=is_shutdown)
        reactions: list[Action] = self.started[name].named["on_exit"](types.SimpleNamespace(returncode=code), context)
        for timer in (reaction for reaction in reactions if isinstance(reaction, TimerAction)):
            (function,) = timer.named["actions"]
            (self.started[name],) = function.named["function"](context)
        return reactions


@pytest.fixture
def launch(actions: Any, tmp_path: pathlib.Path) -> Callable[[str], Launch]:
    return lambda on_node_exit: Launch(actions, tmp_path, on_node_exit=on_node_exit)


def failure(actions: Any, launch: Launch, name: str, code: int) -> str:
    """Returns the text of the exception by which `launch` is told that the run has failed."""
    with pytest.raises(sys.modules[actions.NodeActions.__module__].RunFailed) as caught:
        launch.end(name, code)
    return str(caught.value)


@pytest.mark.parametrize("on_node_exit", ["stop", "wait", "respawn"])
def test_a_viewer_that_always_fails_is_left_off_and_the_run_goes_on(
    launch: Callable[[str], Launch], on_node_exit: str
) -> None:
    launched = launch(on_node_exit)
    told = [launched.end("view_node", 1) for _ in range(respawns.MAX_RESPAWNS)]
    assert [timer.named["period"] for _, timer in told][:3] == [1.0, 2.0, 4.0]
    assert told[0][0].named["msg"] == "view_node ended with exit code 1; it is started anew in 1 s (1 of 8)"
    (line,) = launched.end("view_node", 1)
    assert line.named["msg"] == (
        "view_node ended with exit code 1; it was started anew 8 times in a row, and that does not help; the run goes "
        "on without view_node"
    )


@pytest.mark.parametrize("on_node_exit", ["stop", "wait", "respawn"])
def test_a_viewer_that_refuses_its_configuration_ends_no_run(
    launch: Callable[[str], Launch], on_node_exit: str
) -> None:
    (line,) = launch(on_node_exit).end("view_node", CONFIGURATION_ERROR)
    assert isinstance(line, LogInfo) and "goes on without view_node" in line.named["msg"]


def test_launch_itself_starts_nothing_anew(launch: Callable[[str], Launch]) -> None:
    assert "respawn" not in launch("respawn").started["robot_node"].named


def test_a_trainer_that_is_started_anew_goes_on_from_its_newest_checkpoint(launch: Callable[[str], Launch]) -> None:
    launched = launch("respawn")
    assert launched.started["trainer_node"].named["parameters"] == ["params.yaml", {"use_sim_time": False}]
    launched.end("trainer_node", -9)
    anew = launched.started["trainer_node"].named["parameters"]
    assert anew == ["params.yaml", {"use_sim_time": False, "run.resume": True}]


def test_a_node_that_said_that_it_is_up_long_ago_is_counted_from_the_beginning(
    launch: Callable[[str], Launch], tmp_path: pathlib.Path
) -> None:
    launched, up = launch("respawn"), tmp_path / "logs" / "robot_node.up"
    for _ in range(respawns.MAX_RESPAWNS + 2):
        environment = launched.started["robot_node"].named["additional_env"]
        assert environment[readiness.VARIABLE] == str(up) and not up.exists()
        up.write_text(repr(time.monotonic() - respawns.SETTLED))
        assert launched.end("robot_node", -9)[0].named["msg"].endswith("(1 of 8)")


def test_a_node_ends_with_launch_and_keeps_what_the_user_has_set(
    actions: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP", raising=False)
    environment = Launch(actions, tmp_path, on_node_exit="stop").started["robot_node"].named["additional_env"]
    assert (environment[supervised.VARIABLE], environment["OMP"]) == (str(os.getpid()), "1")
    monkeypatch.setenv("OMP", "4")
    assert "OMP" not in Launch(actions, tmp_path, on_node_exit="stop").started["robot_node"].named["additional_env"]


@pytest.mark.parametrize(
    ("name", "on_node_exit", "code", "reason"),
    [
        ("trainer_node", "respawn", 3, "trainer_node is done; the run has ended, but it was trained from fresh"),
        ("robot_node", "stop", 1, "robot_node ended with exit code 1"),
        ("robot_node", "stop", -9, "robot_node was killed by signal 9"),
        ("robot_node", "respawn", CONFIGURATION_ERROR, "robot_node ended with exit code 2"),
        ("robot_node", "wait", CONFIGURATION_ERROR, "robot_node ended with exit code 2"),
    ],
)
def test_what_ends_the_graph_with_exit_code_1(
    actions: Any, launch: Callable[[str], Launch], name: str, on_node_exit: str, code: int, reason: str
) -> None:
    """`launch` exits with 1 only where an exception reaches it."""
    assert failure(actions, launch(on_node_exit), name, code).startswith(reason)


def test_a_needed_node_that_always_fails_ends_the_run(actions: Any, launch: Callable[[str], Launch]) -> None:
    launched = launch("respawn")
    for _ in range(respawns.MAX_RESPAWNS):
        launched.end("robot_node", 1)
    assert failure(actions, launched, "robot_node", 1) == (
        "robot_node ended with exit code 1; it was started anew 8 times in a row, and that does not help"
    )


def test_the_end_of_the_run_ends_the_graph_with_exit_code_0(launch: Callable[[str], Launch]) -> None:
    (reaction,) = launch("respawn").end("trainer_node", 0)
    assert isinstance(reaction, Shutdown)
    assert reaction.named["reason"] == "trainer_node is done; the run has ended"


@pytest.mark.parametrize("code", [0, 1, -9])
def test_a_node_that_ends_while_all_are_stopped_is_no_news(launch: Callable[[str], Launch], code: int) -> None:
    assert launch("stop").end("robot_node", code, is_shutdown=True) == []


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
    monkeypatch.setattr(launch_file, "values_of_file", lambda path: {})
    return launch_file


def test_every_setting_is_an_argument_of_a_training(
    actions: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = {"learning_rate": "2e-5", "ppo.gamma": "0.9", "sources": "task scale", "prompt": "put it down"}
    switches = {"autostart": "false", "wandb": "False", "run.resume": "", "sim": "kinematic", "model": "tiny"}
    places = {"run_dir": str(tmp_path), "checkpoint_root": str(tmp_path), "exp_name": "one"}
    config, _ = training(monkeypatch).configure(Given({**named, **switches, **places, "record": "false"}))
    assert (config.ppo.learning_rate, config.ppo.gamma, config.reward.sources) == (2e-5, 0.9, ("task", "scale"))
    assert (config.run.autostart, config.run.wandb, config.run.resume) == (False, False, False)
    assert (config.run.prompt, config.env.simulator, config.model) == ("put it down", "kinematic", MODELS["tiny"])
    assert config.run.folder == tmp_path / "one"


@pytest.mark.parametrize(
    ("given", "file"),
    [
        ({"config": "a.yaml"}, "a.yaml"),
        ({"params_file": "b.yaml", "config": ""}, "b.yaml"),
        ({}, str(ROOT / "config" / "training.yaml")),
    ],
)
def test_the_parameter_file_of_a_training_has_two_names(
    actions: Any, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], file: str
) -> None:
    launch_file, read = training(monkeypatch), []
    monkeypatch.setattr(launch_file, "get_package_share_directory", lambda name: str(ROOT))
    monkeypatch.setattr(launch_file, "load_config_file", lambda path: read.append(path) or TrainConfig())
    launch_file.configure(Given(given))
    assert read == [file]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"wandb": "maybe"}, "wandb must be true or false, got maybe"),
        ({"record": "yes"}, "record must be true or false, got yes; write record:=true or record:=false"),
        ({"gamma": "3"}, "gamma must be within 0.0..1.0, got 3.0"),
        ({"gamma": "much"}, "--gamma must be a number, got 'much'"),
        ({"sim": "mujoco", "simulator": "kinematic"}, "sim and simulator are two names of one argument"),
        ({"config": "a.yaml", "params_file": "b.yaml"}, "params_file and config are two names of one argument"),
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
    ("text", "is_true"), [("true", True), ("True", True), ("1", True), ("false", False), ("FALSE", False), ("0", False)]
)
def test_what_is_true_or_false_may_be_written_as_launch_takes_it(text: str, is_true: bool) -> None:
    given = Given({"record": text, "resume": text, "run.autostart": text})
    assert given.is_true("record") is is_true
    assert given.flags() == (["--resume", "--run.autostart"] if is_true else ["--no_resume", "--run.no_autostart"])


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("simulater", "did you mean simulator?"),
        ("name_space", "did you mean namespace?"),
        ("learn", "did you mean learning_rate"),
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
    graph = dataclasses.replace(GRAPH, run_dir=tmp_path, namespace="/cell_1", log_level="debug")
    action = actions.NodeActions(graph, on_node_exit="stop").start(ROBOT_NODE)
    assert (action.named["namespace"], action.named["ros_arguments"]) == ("/cell_1", ["--log-level", "debug"])
    graph = dataclasses.replace(GRAPH, run_dir=tmp_path)
    plain = actions.NodeActions(graph, on_node_exit="stop").start(ROBOT_NODE)
    assert (plain.named["namespace"], plain.named["ros_arguments"]) == (None, [])


def test_the_folder_of_the_run_is_held_until_launch_ends(
    actions: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "hold_domain", lambda domain, **_: 40)
    given = {"run_dir": str(tmp_path), "checkpoint_root": str(tmp_path), "discovery": "localhost", "domain_id": "40"}
    given |= {"on_node_exit": "stop"}
    configure = training(monkeypatch).configure
    actions.start_graph(Given(given), configure)
    with pytest.raises(SettingError, match="that nothing else runs now"):
        actions.start_graph(Given(given), configure)


def test_trainer_node_learns_which_flags_of_the_graph_the_arguments_stand_for(
    actions: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {"run_dir": str(tmp_path), "checkpoint_root": str(tmp_path), "exp_name": "one", "config": "robot.yaml"}
    given = {"namespace": "cell_1", "record": "True", "discovery": "localhost", "domain_id": "45", "log_level": ""}
    monkeypatch.setattr(actions, "hold_domain", lambda wanted, **_: wanted)  # Other programs may be in this domain.
    made = actions.start_graph(Given({**places, **given, "on_node_exit": "stop"}), training(monkeypatch).configure)
    variables = dict(action.given for action in made if len(action.given) == 2)
    known = RunStart.of_environment(variables)
    assert known.flags == {"params_file": "robot.yaml", "record": True, "namespace": "cell_1", "domain_id": "45"}
    assert known.given == ("run.exp_name", "run.run_dir", "run.checkpoint_root")


@pytest.mark.parametrize(
    ("file", "names"),
    [
        (
            "training.launch.py",
            {"config", "params_file", "sim", "simulator", "task", "model", "exp_name", "checkpoint"},
        ),
        ("policy.launch.py", {"checkpoint", "config", "params_file", "sim", "exp_name", "decoding", "episodes"}),
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
    for name in ("config", "params_file"):
        launch_file.configure(Given({**given, name: "a.yaml", "episodes": "24", "temperature": "0.5"}))
    flags, same = seen
    assert flags == same
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
