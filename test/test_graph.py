"""Tests the description of the graph, its command and the launch file."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
import os
import pathlib

import pytest

from chunk_ppo_ros.agent.run_start import graph_command
from chunk_ppo_ros.config import DeployConfig, EnvConfig, RewardConfig, RunConfig, TrainConfig
from chunk_ppo_ros.config.parameter_file import load_config_file
from chunk_ppo_ros.core.errors import SettingError
from chunk_ppo_ros.runtime import graph as graph_lib
from chunk_ppo_ros.runtime.claims.run_folder import claim_run

ROOT = pathlib.Path(__file__).parents[1]


def make_config(tmp_path: pathlib.Path, **env: object) -> TrainConfig:
    return TrainConfig(
        env=EnvConfig(**env), run=RunConfig(run_dir=str(tmp_path), checkpoint_root=str(tmp_path), exp_name="one")
    )


def names(graph: graph_lib.Graph) -> set[str]:
    return {node.name for node in graph.nodes}


def test_the_graph_of_a_simulation_in_lockstep(tmp_path: pathlib.Path) -> None:
    config = make_config(tmp_path, simulator="kinematic")
    graph = graph_lib.describe(config)
    assert names(graph) == {"trainer_node", "policy_node", "reward_node", "robot_node", "sim_node"}
    assert {node.name for node in graph.nodes if not node.use_sim_time} == {"sim_node", "trainer_node"}
    assert graph.ends_with in names(graph)
    resuming = {node.name: node.respawn_parameters for node in graph.nodes if node.respawn_parameters}
    assert resuming == {"trainer_node": {"run.resume": True}}  # it refuses a folder that is taken otherwise
    assert graph.parameter_file == tmp_path / "one" / "params.yaml"
    assert load_config_file(graph.parameter_file) == config


def test_a_run_without_a_trainer_has_deployment_node_in_its_place(tmp_path: pathlib.Path) -> None:
    config = make_config(tmp_path / "runs", simulator="kinematic")
    config = dataclasses.replace(config, deploy=DeployConfig(checkpoints=("step_3",)))
    root = tmp_path / "checkpoints"
    config = dataclasses.replace(config, run=dataclasses.replace(config.run, checkpoint_root=str(root)))
    graph = graph_lib.describe(config)
    assert names(graph) == {"deployment_node", "policy_node", "reward_node", "robot_node", "sim_node"}
    assert graph.ends_with == "deployment_node"
    assert not [node.name for node in graph.nodes if node.respawn_parameters]  # it goes on by itself
    assert not root.exists()


def test_a_training_in_the_folder_of_a_run_without_a_trainer_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "deployment.json").write_text("{}")
    with pytest.raises(SettingError, match="must be a name that no run without a trainer has, got one"):
        graph_lib.describe(make_config(tmp_path, simulator="kinematic"))
    assert not (tmp_path / "one" / "params.yaml").exists()


def test_only_the_nodes_that_load_jax_get_its_settings_and_all_keep_to_one_thread(tmp_path: pathlib.Path) -> None:
    nodes = graph_lib.describe(with_classifier(make_config(tmp_path)), record=True).nodes
    with_jax = {node.name for node in nodes if "XLA_PYTHON_CLIENT_PREALLOCATE" in node.environment}
    assert with_jax == {"trainer_node", "policy_node", "classifier_node"}
    assert {node.environment["OMP_NUM_THREADS"] for node in nodes} == {"1"}
    assert [node.name for node in nodes] == [
        "recorder_node",
        "trainer_node",
        "policy_node",
        "classifier_node",
        "reward_node",
        "robot_node",
        "sim_node",
    ]


def test_the_graph_of_a_robot_and_of_real_time_reads_the_wall_clock(tmp_path: pathlib.Path) -> None:
    robot = graph_lib.describe(make_config(tmp_path, simulator="none"))
    assert "sim_node" not in names(robot)
    assert not any(node.use_sim_time for node in robot.nodes)
    realtime = graph_lib.describe(make_config(tmp_path, simulator="kinematic", realtime=True))
    assert "sim_node" in names(realtime)
    assert not any(node.use_sim_time for node in realtime.nodes)


def test_recording_is_one_more_node_that_starts_first(tmp_path: pathlib.Path) -> None:
    graph = graph_lib.describe(make_config(tmp_path), record=True)
    assert graph.nodes[0].name == "recorder_node"
    assert not graph.nodes[0].use_sim_time
    assert [node.name for node in graph.nodes if not node.is_needed] == ["recorder_node"]


def with_classifier(config: TrainConfig) -> TrainConfig:
    return dataclasses.replace(config, reward=RewardConfig(sources=("task", "classifier"), classifier="door.npz"))


def test_a_classifier_is_one_more_node(tmp_path: pathlib.Path) -> None:
    config = with_classifier(make_config(tmp_path))
    (node,) = [node for node in graph_lib.describe(config).nodes if node.name == "classifier_node"]
    assert not node.use_sim_time
    assert node.environment["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"


def test_every_node_is_a_module_with_a_main(tmp_path: pathlib.Path) -> None:
    for node in graph_lib.describe(with_classifier(make_config(tmp_path)), record=True).nodes:
        spec = importlib.util.find_spec(node.module)
        assert spec is not None
        assert spec.origin is not None
        tree = ast.parse(pathlib.Path(spec.origin).read_text())
        assert "main" in {item.name for item in tree.body if isinstance(item, ast.FunctionDef)}, node.name


def test_the_network_is_loopback_unless_told_otherwise() -> None:
    assert graph_lib.network_environment(discovery="localhost", domain_id=7) == {
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_STATIC_PEERS": "",
        "ROS_DOMAIN_ID": "7",
    }
    peers = graph_lib.network_environment(discovery="static_peers", static_peers="10.0.0.2;10.0.0.3")
    assert peers == {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_STATIC_PEERS": "10.0.0.2;10.0.0.3"}
    assert graph_lib.network_environment(discovery="subnet")["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"


@pytest.mark.parametrize(
    ("discovery", "peers", "text"),
    [
        ("everywhere", "", "discovery must be one of localhost, static_peers, subnet"),
        ("static_peers", "", "static_peers must be given"),
        ("localhost", "10.0.0.2", "static_peers must be given exactly with"),
    ],
)
def test_a_network_that_contradicts_itself_is_refused(discovery: str, peers: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        graph_lib.network_environment(discovery=discovery, static_peers=peers)


@pytest.mark.parametrize("exported", ["17", "", None])
def test_the_exported_domain_is_taken_and_else_a_simulation_takes_a_free_one(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, exported: str | None
) -> None:
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    if exported is not None:
        monkeypatch.setenv("ROS_DOMAIN_ID", exported)
    simulated, robot = make_config(tmp_path), make_config(tmp_path, simulator="none")
    assert graph_lib.wanted_domain(None, simulated) == (17 if exported else None)
    assert graph_lib.wanted_domain(None, robot) == (17 if exported else 0)
    assert graph_lib.wanted_domain(5, simulated) == graph_lib.wanted_domain(5, robot) == 5


def test_namespace_and_log_level_are_ros_arguments_of_all_nodes(tmp_path: pathlib.Path) -> None:
    graph = graph_lib.describe(make_config(tmp_path), namespace="cell_1/left/", log_level="warn")
    assert graph.ros_arguments == ("-r", "__ns:=/cell_1/left", "--log-level", "warn")
    assert graph_lib.describe(make_config(tmp_path)).ros_arguments == ()


@pytest.mark.parametrize("namespace", ["1cell", "cell-1", "a//b", "a b"])
def test_a_namespace_that_ros_does_not_take_is_refused(tmp_path: pathlib.Path, namespace: str) -> None:
    with pytest.raises(SettingError, match=f"got {namespace}; write one such as /cell_1"):
        graph_lib.describe(make_config(tmp_path), namespace=namespace)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[graph_lib.Graph]:
    """Returns the graphs that the command would start."""
    graphs: list[graph_lib.Graph] = []

    class FakeSupervisor:
        def __init__(self, graph: graph_lib.Graph, **_: object) -> None:
            graphs.append(graph)

        def run(self) -> int:
            return 3

    monkeypatch.setattr(graph_lib, "Supervisor", FakeSupervisor)
    return graphs


def test_flags_overlay_the_parameter_file(tmp_path: pathlib.Path, started: list[graph_lib.Graph]) -> None:
    arguments = ["--params_file", str(ROOT / "config" / "robot.yaml"), "--gamma", "0.5"]
    arguments += ["--run_dir", str(tmp_path), "--checkpoint_root", str(tmp_path)]
    assert graph_command.main([*arguments, "--simulator", "kinematic", "--domain_id", "40", "--record"]) == 3
    config = load_config_file(started[0].parameter_file)
    assert (config.ppo.gamma, config.env.simulator, config.run.on_load_failure) == (0.5, "kinematic", "fail")
    assert "recorder_node" in names(started[0])


def test_the_folder_of_a_run_may_have_any_name(tmp_path: pathlib.Path) -> None:
    with claim_run(tmp_path / os.fsdecode(b"caf\xe9")):
        pass


def test_a_second_graph_of_a_run_is_refused_and_changes_none_of_its_settings(
    tmp_path: pathlib.Path, started: list[graph_lib.Graph]
) -> None:
    """A node that is started anew reads them, such as the limits of the robot."""
    arguments = ["--run_dir", str(tmp_path), "--checkpoint_root", str(tmp_path), "--exp_name", "one", "--gamma"]
    assert graph_command.main([*arguments, "0.5"]) == 3
    before = started[0].parameter_file.read_text()
    with claim_run(tmp_path / "one"):
        with pytest.raises(
            SettingError, match=r"that nothing else runs now, got the one in .*one, which process \d+ on"
        ):
            graph_command.main([*arguments, "0.9"])
        assert len(started) == 1 and started[0].parameter_file.read_text() == before
    assert graph_command.main([*arguments, "0.9"]) == 3
    assert started[0].parameter_file.read_text() != before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--params_file", "no/such.yaml"], "must exist"),
        (["--gamma", "2"], "gamma must be within"),
        (["--discovery", "static_peers"], "static_peers must be given"),
        (["--domain_id", "-1"], "domain must be within 0..232, got -1; correct domain_id"),
        (["--domain_id", "233"], "domain must be within 0..232, got 233"),
        (["--image_topic", "image_raw"], "image_topic must contain {camera}"),
    ],
)
def test_bad_arguments_are_one_line(
    arguments: list[str], text: str, started: list[graph_lib.Graph], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as error:
        graph_command.main(arguments)
    assert error.value.code == 2
    assert text in capsys.readouterr().err
    assert not started


def test_the_launch_file_makes_one_process_for_each_node(tmp_path: pathlib.Path) -> None:
    launch_ros_actions = pytest.importorskip("launch_ros.actions", reason="launch_ros comes with ROS from apt")
    spec = importlib.util.spec_from_file_location("training_launch", ROOT / "launch" / "training.launch.py")
    assert spec is not None
    assert spec.loader is not None
    graph_actions = importlib.import_module("chunk_ppo_ros.nodes.launching.graph_actions")
    arguments = importlib.import_module("chunk_ppo_ros.nodes.launching.arguments")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    given = {"config": str(ROOT / "config" / "training.yaml"), "exp_name": "one", "sim": "kinematic"}
    given |= {"run_dir": str(tmp_path)}
    given |= {"domain_id": "41", "on_node_exit": "stop", "record": "true", "discovery": "localhost"}
    actions = graph_actions.start_graph(arguments.Given(given), module.configure)
    nodes = [action for action in actions if isinstance(action, launch_ros_actions.Node)]
    config = load_config_file(tmp_path / "one" / "params.yaml")
    assert [node.node_executable for node in nodes] == [
        node.name for node in graph_lib.describe(dataclasses.replace(config), record=True).nodes
    ]
