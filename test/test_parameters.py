"""Tests the configuration as ROS parameters and as a parameter file."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import rclpy
import yaml
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.config import parameter_file
from chunk_ppo_ros.config.renamed import RENAMED
from chunk_ppo_ros.core.rounding import MAX_LOGP_GAPS
from chunk_ppo_ros.nodes.wire import parameters

NodeMaker = Callable[..., Node]


@pytest.fixture
def make_node(monkeypatch: pytest.MonkeyPatch) -> Iterator[NodeMaker]:
    """Makes nodes with parameter overrides, in a ROS context of their own."""
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = Context()
    nodes: list[Node] = []

    def make(*args: str) -> Node:
        if not context.ok():
            rclpy.init(args=["--ros-args", *args] if args else None, context=context)
        nodes.append(rclpy.create_node("node_under_test", context=context))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    context.try_shutdown()


def test_declared_values_are_the_defaults(make_node: NodeMaker) -> None:
    node = make_node()
    assert parameters.declare(node, "ppo", "model") == config_lib.TrainConfig()
    assert node.get_parameter("ppo.learning_rate").value == 1e-4
    assert node.get_parameter("model.cameras").type_ == Parameter.Type.STRING_ARRAY
    assert list(node.get_parameter("model.cameras").value) == list(config_lib.TrainConfig().model.cameras)
    assert not node.has_parameter("env.task")


def test_descriptors_tell_help_range_and_choices(make_node: NodeMaker) -> None:
    node = make_node()
    parameters.declare(node, "ppo", "env")
    gamma = node.describe_parameter("ppo.gamma")
    assert gamma.description == "discount per chunk"
    assert (gamma.floating_point_range[0].from_value, gamma.floating_point_range[0].to_value) == (0.0, 1.0)
    chunks = node.describe_parameter("ppo.num_chunks_per_update").integer_range[0]
    assert (chunks.from_value, chunks.to_value) == (1, 65536)
    assert "kinematic" in node.describe_parameter("env.simulator").additional_constraints
    assert node.describe_parameter("ppo.total_timesteps").additional_constraints == "at least 1"


def test_overrides_reach_the_configuration(make_node: NodeMaker) -> None:
    node = make_node("-p", "ppo.learning_rate:=1", "-p", "reward.sources:=[task, human]", "-p", "run.seed:=7")
    config = parameters.declare(node, "ppo", "reward")
    assert config.ppo.learning_rate == 1.0  # a whole number is good enough for a float
    assert config.reward.sources == ("task", "human")
    assert config.run.seed == 7  # sections that this node does not declare are read all the same
    assert node.get_parameter("ppo.learning_rate").value == 1.0


def test_an_empty_list_is_a_value(make_node: NodeMaker) -> None:
    assert parameters.declare(make_node("-p", "reward.sources:=[]"), "reward").reward.sources == ()


def test_parameters_are_read_only(make_node: NodeMaker) -> None:
    node = make_node()
    parameters.declare(node, "ppo")
    (result,) = node.set_parameters([Parameter("ppo.gamma", value=0.5)])
    assert not result.successful


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("ppo.learning_rat:=0.1", "unknown parameter 'ppo.learning_rat'.*ppo.learning_rate"),
        ("nothing_alike:=1", "unknown parameter 'nothing_alike'"),
        ("ppo.gamma:=1.5", "gamma must be within 0.0..1.0, got 1.5"),
        ("ppo.gamma:=high", "gamma must be of type float, got 'high'"),
        ("env.simulator:=dance", "simulator must be one of mujoco, kinematic, none, got 'dance'"),
        ("ppo.batch_size:=7", "must be a multiple of ppo.batch_size"),
    ],
)
def test_bad_overrides_are_refused(make_node: NodeMaker, override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parameters.declare(make_node("-p", override), "run")


def test_ros_and_extra_parameters_are_known(make_node: NodeMaker) -> None:
    node = make_node("-p", "use_sim_time:=false", "-p", "bag_folder:=here")
    parameters.declare(node, "run", extra={"bag_folder": "where the bag goes"})
    assert node.get_parameter("bag_folder").value == "here"
    assert node.describe_parameter("bag_folder").description == "where the bag goes"
    (result,) = node.set_parameters([Parameter("bag_folder", value="there")])
    assert not result.successful


def _changed_config() -> config_lib.TrainConfig:
    config = config_lib.PRESETS["full"]
    return dataclasses.replace(
        config,
        ppo=dataclasses.replace(config.ppo, learning_rate=1e-6, gamma=0.5),
        reward=dataclasses.replace(config.reward, sources=("task", "true")),
        run=dataclasses.replace(config.run, prompt='it\'s 1: "two"\n# three', exp_name="12"),
    )


def test_a_parameter_file_comes_back_unchanged(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "new" / "params.yaml"
    parameters.write_parameter_file(_changed_config(), path)
    assert parameters.load_config_file(path) == _changed_config()


def test_ros_reads_a_parameter_file_as_we_do(tmp_path: pathlib.Path, make_node: NodeMaker) -> None:
    path = tmp_path / "params.yaml"
    parameters.write_parameter_file(_changed_config(), path)
    assert parameters.declare(make_node("--params-file", str(path)), "ppo") == _changed_config()


def test_missing_settings_are_taken_from_the_base(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("/**:\n  ros__parameters:\n    use_sim_time: true\n    ppo.gamma: 0.25\n    env: {task: reach}\n")
    config = parameters.load_config_file(path, base=config_lib.PRESETS["full"])
    assert config.ppo.gamma == 0.25
    assert config.ppo.total_timesteps == 500_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ppo: {gamma: 0.5}", "the one entry"),
        ("/**: {ros__parameters: [1]}", "must be a mapping"),
        ("/**: {ros__parameters: {ppo: {gama: 0.5}}}", "unknown parameter 'ppo.gama'; did you mean one of ppo.gamma"),
        ("/**: {ros__parameters: {ppo: {gamma: 2.0}}}", "gamma must be within"),
        ("/**: {ros__parameters: {ppo: {gamma", "flow mapping"),
    ],
)
def test_a_bad_parameter_file_is_refused_by_name(tmp_path: pathlib.Path, text: str, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        parameters.load_config_file(path)
    assert str(path) in str(error.value)


def test_a_missing_parameter_file_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="must exist"):
        parameters.load_config_file(tmp_path / "none.yaml")
    with pytest.raises(ValueError, match=r"must exist, got demo; `chunk_ppo graph --config demo` starts the preset"):
        parameters.load_config_file("demo")


def write_settings(path: pathlib.Path, **sections: object) -> pathlib.Path:
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": sections}}, sort_keys=False))
    return path


SIZE_NAMES = ("siglip_width", "siglip_depth", "siglip_mlp_dim", "siglip_num_heads", "gemma_width", "gemma_depth")
SIZE_NAMES += ("gemma_mlp_dim", "gemma_num_heads", "gemma_num_kv_heads", "gemma_head_dim")


def notices(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Returns the lines about old names, one for each name, without a source line of Python's."""
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err.splitlines()


def test_an_interrupted_run_of_before_goes_on(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """params.yaml of 0.1.0 has ten sizes, and two limits of the log-prob gap. A size is 0 where it is the variant's."""
    path = tmp_path / "params.yaml"
    old = {"model": {"paligemma_variant": "tiny", "dtype": "bfloat16"} | dict.fromkeys(SIZE_NAMES, 0)}
    old["ppo"] = {"max_logp_gap": 0.001, "max_logp_gap_bfloat16": 0.9}
    config = parameters.load_config_file(write_settings(path, **old))
    assert config.model.tower_sizes == ()
    assert config.ppo.logp_gap_limit(config.model.dtype) == 0.9
    lines = notices(capsys)
    assert len(lines) == len(SIZE_NAMES) + 1
    assert lines[0] == (
        f"{path}: model.siglip_width is written model.tower_sizes: [siglip.width=NUMBER] now; its value is carried over"
    )
    assert lines[-1] == (
        f"{path}: ppo.max_logp_gap_bfloat16 is written ppo.max_logp_gap: NUMBER now; its value is carried over"
    )
    parameters.write_parameter_file(config, path)
    assert parameters.load_config_file(path) == config  # and the file that a run writes has the new names
    assert notices(capsys) == []


def test_sizes_of_an_old_file_are_carried_over(tmp_path: pathlib.Path) -> None:
    path = write_settings(tmp_path / "params.yaml", model={"gemma_depth": 2, "siglip_width": 32, "siglip_depth": 0})
    lines: list[str] = []
    config = parameters.load_config_file(path, report=lines.append)
    assert config.model.tower_sizes == ("gemma.depth=2", "siglip.width=32")
    assert [line.split()[1] for line in lines] == ["model.gemma_depth", "model.siglip_width", "model.siglip_depth"]


@pytest.mark.parametrize(
    ("dtype", "ppo", "limit"),
    [
        ("float32", {"max_logp_gap": 0.01, "max_logp_gap_bfloat16": 0.5}, 0.01),
        ("bfloat16", {"max_logp_gap": 0.01, "max_logp_gap_bfloat16": 0.5}, 0.5),
        ("float32", {"max_logp_gap_bfloat16": 0.5}, 0.001),
        ("bfloat16", {"max_logp_gap_bfloat16": 0.5}, 0.5),
        ("bfloat16", {"max_logp_gap": 0.01, "max_logp_gap_bfloat16": 0.9}, 0.9),
    ],
)
def test_the_old_limit_of_the_dtype_in_use_is_kept(
    tmp_path: pathlib.Path, dtype: str, ppo: dict[str, float], limit: float
) -> None:
    path = write_settings(tmp_path / "params.yaml", ppo=ppo, model={"dtype": dtype})
    assert parameters.load_config_file(path).ppo.logp_gap_limit(dtype) == limit
    path = write_settings(tmp_path / "params.yaml", ppo=ppo)  # the dtype is the base's
    base = config_lib.from_dict(config_lib.TrainConfig, {"model": {"dtype": dtype}})
    assert parameters.load_config_file(path, base=base).ppo.logp_gap_limit(dtype) == limit


def test_an_old_limit_is_kept_when_the_default_becomes_another(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MAX_LOGP_GAPS, "float32", 0.01)
    path = write_settings(tmp_path / "params.yaml", ppo={"max_logp_gap": 0.001, "max_logp_gap_bfloat16": 0.9})
    assert parameters.load_config_file(path).ppo.logp_gap_limit("float32") == 0.001
    path = write_settings(tmp_path / "params.yaml", ppo={"max_logp_gap_bfloat16": 0.9})
    assert parameters.load_config_file(path).ppo.logp_gap_limit("float32") == 0.01


@pytest.mark.parametrize(("dtype", "limit"), [("float32", 0.01), ("bfloat16", 0.9)])
def test_a_lone_limit_in_an_old_file_is_that_of_float32(tmp_path: pathlib.Path, dtype: str, limit: float) -> None:
    """An old name of a size shows that the file is old. Without one, the limit is that of the dtype in use."""
    model = {"dtype": dtype, "gemma_depth": 0}
    path = write_settings(tmp_path / "params.yaml", ppo={"max_logp_gap": 0.01}, model=model)
    assert parameters.load_config_file(path).ppo.logp_gap_limit(dtype) == limit
    path = write_settings(tmp_path / "params.yaml", ppo={"max_logp_gap": 0.01}, model={"dtype": dtype})
    assert parameters.load_config_file(path).ppo.logp_gap_limit(dtype) == 0.01


def test_an_old_limit_of_0_is_not_taken_for_the_default(tmp_path: pathlib.Path) -> None:
    path = write_settings(tmp_path / "params.yaml", ppo={"max_logp_gap": 0.0, "max_logp_gap_bfloat16": 0.9})
    with pytest.raises(ValueError, match=r"params.yaml: ppo.max_logp_gap must be above 0 .* got 0 for float32"):
        parameters.load_config_file(path)


def test_renamed_settings_are_gone_and_their_new_names_are_there() -> None:
    known = parameter_file.known_names()
    assert not set(RENAMED) & set(known)
    assert {renaming.setting for renaming in RENAMED.values()} <= set(known)


def test_an_old_name_is_carried_over_on_a_node_and_logged(
    make_node: NodeMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = make_node("-p", "model.gemma_depth:=2")
    lines: list[str] = []
    monkeypatch.setattr(node, "get_logger", lambda: SimpleNamespace(warning=lines.append))
    assert parameters.declare(node, "model").model.tower_sizes == ("gemma.depth=2",)
    said = "model.gemma_depth is written model.tower_sizes: [gemma.depth=NUMBER] now; its value is carried over"
    assert lines == [f"parameters of /node_under_test: {said}"]
    monkeypatch.setattr("sys.argv", ["robot_node", "--ros-args", "--params-file", "old.yaml"])
    again = make_node()
    monkeypatch.setattr(again, "get_logger", lambda: SimpleNamespace(warning=lines.append))
    parameters.declare(again, "model")
    assert lines[1] == f"old.yaml: {said}"


def test_the_error_about_an_old_name_says_how_it_is_written() -> None:
    with pytest.raises(ValueError, match=r"'env.cube_spread'; write env.task_settings: \[cube_spread=NUMBER\]"):
        config_lib.from_dict(config_lib.TrainConfig, {"env": {"cube_spread": 1.0}})


CONFIG_FILES = sorted((pathlib.Path(__file__).parents[1] / "config").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIG_FILES, ids=lambda path: path.name)
def test_every_key_of_the_files_under_config_is_known(path: pathlib.Path) -> None:
    assert isinstance(parameters.load_config_file(path), config_lib.TrainConfig)
    comments = [line.split("#", 1)[1] for line in path.read_text().splitlines() if ": " in line and "#" in line]
    settings = parameter_file.flatten(yaml.safe_load(path.read_text())["/**"]["ros__parameters"])
    assert len(comments) >= len(settings), "each key wants a comment"
