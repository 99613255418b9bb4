"""Tests that mistakes on the command line are one line that says what there is, never a traceback."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chunk_ppo_ros.__main__ import main
from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.agent.stored_run import lerobot_command
from chunk_ppo_ros.cli import demo
from chunk_ppo_ros.config import TrainConfig, from_dict
from chunk_ppo_ros.evaluation.bench import bench
from chunk_ppo_ros.imitation import clone_recorded, norm_stats, train_classifier
from chunk_ppo_ros.runtime import graph

TRAIN = ("train", "--config", "debug", "--no_wandb")


def places(folder: Path) -> tuple[str, ...]:
    """Returns the flags that put all outputs below a folder."""
    return ("--run_dir", str(folder / "runs"), "--checkpoint_root", str(folder / "checkpoints"))


@pytest.fixture
def begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test where a command begins its work."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("the work has begun")

    monkeypatch.setattr(Learner, "start", fail)
    monkeypatch.setattr(demo, "demonstrate", fail)
    monkeypatch.setattr(graph, "Supervisor", fail)
    for module in (train_classifier, norm_stats, clone_recorded):
        monkeypatch.setattr(module, "read_all", fail)
    monkeypatch.setattr(lerobot_command, "iterate_episodes", fail)
    monkeypatch.setattr(bench, "machine", fail)


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (("topic", "echo", "/clock", "--times", "-1"), "--times must be at least 0, got -1"),
        (("topic", "echo", "/clock", "--timeout", "-2"), "--timeout must be a finite number of at least 0, got -2"),
        (("topic", "hz", "/clock", "--seconds", "0"), "--seconds must be a finite number above 0, got 0"),
        (("call", "/reward_node/pause", "--timeout", "nan"), "--timeout must be a finite number above 0, got nan"),
        (("doctor", "--seconds", "-1"), "--seconds must be a finite number above 0, got -1"),
        (("start-of-day", "--speed", "inf"), "--speed must be a finite number above 0, got inf"),
        (("start-of-day", "--settling", "-1"), "--settling must be a finite number of at least 0, got -1"),
        (("deploy", "step_1", "--episodes", "0"), "--episodes must be at least 1, got 0"),
        (("replay", "bag", "--patience", "-1"), "--patience must be a finite number above 0, got -1"),
        (("command-stream", "bag", "--rate", "0"), "--rate must be a finite number above 0, got 0"),
        (("store", "prune", "mine", "--max_disk", "-1"), "--max_disk must be a finite number of at least 0, got -1"),
        (("bench", "--runs", "0"), "--runs must be at least 1, got 0"),
        (("bench", "--domain_id", "300"), "--domain_id must be within 0..232, got 300"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_number_that_makes_no_sense_is_refused_before_any_work(
    command: tuple[str, ...], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_status:
        main(command)
    assert exit_status.value.code == 2
    assert capsys.readouterr().err.splitlines()[0] == f"chunk_ppo {command[0]}: {text}"


CAMERA_TEXT = "model.cameras must name cameras of base_0_rgb, left_wrist_0_rgb, right_wrist_0_rgb, each at most once"


@pytest.mark.parametrize(
    "command",
    [
        ("pretrain",),
        ("pretrain", "--episodes", "nowhere"),
        ("train",),
        ("demo",),
        ("graph",),
        ("graph", "--simulator", "none"),
        ("train-classifier", "nowhere", "--output", "nothing.npz"),
    ],
)
def test_a_wrong_camera_is_refused_by_every_command_before_any_work(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_status:
        main([*command, "--cameras", "base_0_rgb", "cam_high"])
    assert exit_status.value.code == 2
    printed = capsys.readouterr()
    line, usage = printed.err.splitlines()
    assert line == (
        f"chunk_ppo {command[0]}: {CAMERA_TEXT}, got cam_high (cam_high is base_0_rgb here); correct it, or leave "
        "it out to use all"
    )
    assert usage.startswith("usage: ")
    assert len(printed.out.splitlines()) <= 1  # the preset


@pytest.mark.parametrize(
    ("cameras", "optional", "text"),
    [
        (("base_0_rgb", "base_0_rgb"), (), f"{CAMERA_TEXT}, got base_0_rgb, base_0_rgb; correct it"),
        ((), (), f"{CAMERA_TEXT}, got none; correct it"),
        (("left_wrist_0_rgb",), ("cam_high",), "optional_cameras must be among .*model, cam_left_wrist, got cam_high;"),
    ],
)
def test_the_cameras_of_a_configuration_are_checked(
    cameras: tuple[str, ...], optional: tuple[str, ...], text: str
) -> None:
    values = {"model": {"cameras": cameras}, "robot": {"optional_cameras": optional}}
    with pytest.raises(ValueError, match=text):
        from_dict(TrainConfig, values)


def test_a_real_robot_may_have_some_of_the_cameras() -> None:
    cameras = ("left_wrist_0_rgb", "base_0_rgb")
    values = {"model": {"cameras": cameras}, "robot": {"optional_cameras": ["cam_high"]}, "env": {"simulator": "none"}}
    assert from_dict(TrainConfig, values).model.cameras == cameras


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--cameras", "base_0_rgb"), "model.cameras must be the simulator's, base_0_rgb left_wrist_0_rgb right_wrist"),
        (("--task", "reech"), "env.task must be one of reach, transfer_cube, got 'reech'; did you mean reach?"),
        (("--simulator", "none"), "env.simulator must be mujoco or kinematic to simulate, got 'none'"),
        (("--task", "transfer_cube"), "set env.simulator to mujoco"),
        (("--control_rate", "25"), "robot.control_rate must be 50.0 with a simulator, got 25.0"),
    ],
)
def test_settings_that_no_simulator_has_are_refused_before_a_demonstration(
    flags: tuple[str, ...], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pretrain", "--config", "debug", "--checkpoint_root", str(tmp_path), *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()  # no progress bar of demonstrations
    assert text in line


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (
            ("--cameras", "base_0_rgb"),
            "model.cameras must be the simulator's, base_0_rgb left_wrist_0_rgb right_wrist_0",
        ),
        (("--task", "reech"), "env.task must be one of reach, transfer_cube, got 'reech'; did you mean reach?"),
        (("--task_settings", "speed=1"), "env.task_settings must be entries name=value for the task reach"),
        (("--simulator", "none"), "env.simulator must be mujoco or kinematic to simulate, got 'none'"),
        (("--task", "transfer_cube"), "set env.simulator to mujoco"),
        (("--control_rate", "25"), "robot.control_rate must be 50.0 with a simulator, got 25.0"),
        (("--sources", "scale"), "reward.sources must be task where the simulator is the only source, got scale"),
        (("--term_weights", "jerk=1"), "reward.term_weights must name terms of sources, got 'jerk'"),
        (("--scene_terms", "height=1"), "reward.scene_terms must be one of none, got 'height'"),
        (("--execution_terms", "foo=1"), "reward.execution_terms must be one of none, got 'foo'"),
        (("--term_weights", "foo=1"), "got 'foo' where there are progress, success; correct the name"),
    ],
)
def test_a_setting_that_does_not_fit_is_one_line(
    flags: tuple[str, ...], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], begins: None
) -> None:
    assert main([*TRAIN, *places(tmp_path), *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("chunk_ppo train: ")
    assert text in line


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--sources", "scale"), "reward.sources must be task where the simulator is the only source, got scale"),
        (("--execution_terms", "foo=1"), "reward.execution_terms must be one of none, got 'foo'"),
        (("--task", "reech"), "env.task must be one of reach, transfer_cube, got 'reech'"),
        (("--run_dir", "{file}"), "run.run_dir must be in a folder that can be written, got {file}/"),
    ],
)
def test_the_demo_refuses_what_its_last_part_would(
    flags: tuple[str, str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], begins: None
) -> None:
    file = tmp_path / "file"
    file.touch()
    assert main(["demo", "--simulator", "kinematic", *places(tmp_path), flags[0], flags[1].format(file=file)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert text.format(file=file) in line


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ((*TRAIN, "--run_dir", "{file}"), "run.run_dir"),
        ((*TRAIN, "--run_dir", "{folder}", "--checkpoint_root", "{file}"), "run.checkpoint_root"),
        (("graph", "--run_dir", "{file}"), "run.run_dir"),
        (("graph", "--run_dir", "{folder}", "--checkpoint_root", "{file}"), "run.checkpoint_root"),
        (("pretrain", "--checkpoint_root", "{file}"), "the checkpoint"),
        (("pretrain", "--checkpoint_root", "{file}", "--episodes", "{folder}"), "the checkpoint"),
        (("evaluate", "{folder}", "--json", "{file}/result.json"), "--json"),
        (("norm-stats", "{folder}", "--output", "{file}/stats"), "--output"),
        (("bench", "--json", "{file}/figures.json"), "--json"),
        (("export-lerobot", "{folder}", "{file}/dataset"), "OUTPUT"),
        (("train-classifier", "{folder}", "--output", "{file}/door.npz"), "--output"),
    ],
)
def test_an_output_that_cannot_be_written_is_found_before_any_work(
    command: tuple[str, ...], name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], begins: None
) -> None:
    file = tmp_path / "file"
    file.touch()
    assert main([part.format(file=file, folder=tmp_path) for part in command]) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert f"{command[0]}: {name} must be in a folder that can be written, got {file}" in line


@pytest.mark.parametrize("command", ["pretrain", "train", "demo", "graph"])
@pytest.mark.parametrize(
    ("name", "root", "given"),
    [
        ("exp_name", "run_dir", "below/../../x"),
        ("checkpoint_dir", "checkpoint_root", "below/../../x"),
        ("exp_name", "run_dir", ""),
        ("exp_name", "run_dir", "."),
        ("exp_name", "run_dir", "/elsewhere"),
        ("checkpoint_dir", "checkpoint_root", "./"),
    ],
)
def test_a_run_stays_below_its_folders(
    command: str, name: str, root: str, given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], begins: None
) -> None:
    """A run without a name would write among the folders of all runs."""
    with pytest.raises(SystemExit) as exit_status:
        main([command, *places(tmp_path), f"--{name}", given])
    assert exit_status.value.code == 2
    line = capsys.readouterr().err.splitlines()[0]
    assert f"{command}: run.{name} must name a folder below run.{root}, got '{given}'" in line


@pytest.mark.parametrize("flag", ["--exp_name", "--run_dir", "--prompt"])
def test_a_text_that_no_file_can_hold_is_refused_at_once(
    flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], begins: None
) -> None:
    """A byte of the command line that is not UTF-8 would fail at the first checkpoint, minutes later."""
    with pytest.raises(SystemExit) as exit_status:
        main(["train", *places(tmp_path), flag, "caf\udce9"])
    assert exit_status.value.code == 2
    assert f"{flag[2:]} must be text in UTF-8, got 'caf\\udce9'" in capsys.readouterr().err.splitlines()[0]


def test_an_output_file_is_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str], begins: None) -> None:
    assert main(["train-classifier", str(tmp_path), "--output", str(tmp_path)]) == 2
    assert f"--output must be a file, got the folder {tmp_path}; add the name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--pretrained_checkpoint_path", "nowhere"), "checkpoint nowhere must be a folder"),
        (("--tokenizer_dir", "nowhere"), "the tokenizers of nowhere (run.tokenizer_dir) cannot be used"),
    ],
)
def test_a_missing_start_is_found_before_episodes_are_read(
    flags: tuple[str, str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], begins: None
) -> None:
    assert main(["pretrain", "--episodes", "recordings", *places(tmp_path), *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert text in line


def test_one_gradient_step_of_imitation_which_would_change_nothing_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rate of the first step is 0, from which it warms up."""
    with pytest.raises(SystemExit, match="2"):
        main(["pretrain", "--episodes", "recordings", *places(tmp_path), "--bc_steps", "1"])
    assert "bc_steps must be within 2" in (text := capsys.readouterr().err) or "bc_steps must be at least 2" in text


def test_a_parameter_file_that_is_no_yaml_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "robot.yaml"
    file.write_text("a: [b\n")
    with pytest.raises(SystemExit, match="2"):
        main(["graph", "--params_file", str(file)])
    line, usage = capsys.readouterr().err.splitlines()
    assert line.startswith(f"chunk_ppo graph: {file}: while parsing a flow sequence")
    assert usage.startswith("usage: ")


def test_a_task_is_not_checked_by_less_than_one_episode(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["check-task", "reach", "--episodes", "0"])
    assert "--episodes must be at least 1, got 0" in capsys.readouterr().err


LONG_PROMPT = " ".join(["bring both hands to the red ball"] * 8)


@pytest.mark.parametrize("prompts", [("--prompt", LONG_PROMPT), ("--prompts", "9=reach", LONG_PROMPT)])
@pytest.mark.parametrize("command", [("train", "--no_wandb"), ("pretrain", "--num_demonstrations", "4")])
def test_a_prompt_that_is_too_long_is_one_line_and_blocks_no_other_try(
    command: tuple[str, ...], prompts: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of four demonstrations with the weights 9 and 1 none has the prompt that is too long."""
    assert main([*command, "--config", "debug", *places(tmp_path), *prompts]) == 2
    printed = capsys.readouterr().err
    assert f"{command[0]}: " in printed
    assert re.search(r"prompt must be at most 28 tokens, got \d+ for 'bring", printed)
    assert "raise model.max_token_len" in printed
    assert LONG_PROMPT not in printed
    assert f"({len(LONG_PROMPT)} characters)" in printed
    assert "Traceback" not in printed
    assert list(tmp_path.rglob("step_*")) == []
