"""Mistakes on the command line are one line that says what there is, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from chunk_ppo_ros.__main__ import main
from chunk_ppo_ros.config import TrainConfig, from_dict

TRAIN = ("train", "--config", "debug", "--no_wandb")


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
        f"chunk_ppo_ros {command[0]}: {CAMERA_TEXT}, got cam_high (cam_high is base_0_rgb here); correct it, or leave "
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
    ],
)
def test_a_setting_that_does_not_fit_is_one_line(
    flags: tuple[str, ...], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TRAIN, *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("chunk_ppo_ros train: ")
    assert text in line
