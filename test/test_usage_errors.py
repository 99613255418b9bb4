"""Mistakes on the command line are one line that says what there is, never a traceback."""

from __future__ import annotations

import pytest

from chunk_ppo_ros.__main__ import main

TRAIN = ("train", "--config", "debug", "--no_wandb")


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--cameras", "foo"), "model.cameras must be of base_0_rgb, left_wrist_0_rgb, right_wrist_0_rgb"),
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
