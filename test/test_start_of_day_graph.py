"""Tests the command `start-of-day` with robot_node, fake drivers and cameras whose wrists are swapped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import rclpy
from rcl_interfaces.msg import Log
from rclpy.qos import qos_profile_rosout_default

from chunk_ppo_ros.nodes.robot.robot_node import RobotNode
from chunk_ppo_ros.robot import aloha
from support.fake_cameras import FakeCameras
from support.spinner import Spinner

pytestmark = [pytest.mark.graph("drivers"), pytest.mark.usefixtures("interbotix_messages")]

SPEED = 1.0
PARAMETERS = {
    "env.simulator": "none",
    "robot.backend": "interbotix",
    "robot.confirm_start": "true",
    "robot.scripted_velocity": SPEED,
    "robot.max_velocity": 1.5,
    "robot.max_acceleration": 10.0,
    "robot.max_following_error": 0.3,
    "robot.state_timeout": 3.0,  # This process also runs the drivers, beside other tests.
}


def until_prepared(graph: Spinner, listener: FakeCameras) -> None:
    """Waits until robot_node logs that the drivers are prepared. It refuses every motion before that."""
    logged: list[str] = []
    listener.create_subscription(Log, "/rosout", lambda line: logged.append(line.msg), qos_profile_rosout_default)
    graph.until(lambda: any("the arms are prepared" in text for text in logged))


def test_it_moves_each_joint_and_finds_swapped_wrist_cameras(
    tmp_path: Path, interbotix_messages: Path, repository: Path
) -> None:
    from support.fake_driver import running_driver

    parameters = {**PARAMETERS, "run.run_dir": str(tmp_path)}
    rclpy.init(args=["--ros-args", *(w for name, value in parameters.items() for w in ("-p", f"{name}:={value}"))])
    with ExitStack() as stack:
        stack.callback(rclpy.shutdown)
        drivers = {side: stack.enter_context(running_driver(side)) for side in aloha.SIDES}
        for driver in drivers.values():
            driver.motors.positions["shoulder"] = driver.motors.goals["shoulder"] = -1.1
        cameras = FakeCameras(
            lambda side: drivers[side].motors.positions["gripper"], {"left": "right", "right": "left"}
        )
        graph = Spinner(RobotNode(), cameras)
        stack.callback(graph.close)
        until_prepared(graph, cameras)
        flags = ["--yes", "--speed", str(SPEED), "--settling", "0.1", "--run_dir", str(tmp_path), "--exp_name", "x"]
        process = subprocess.Popen(
            [sys.executable, "-m", "chunk_ppo_ros", "start-of-day", *flags],
            env={**os.environ, "PYTHONPATH": f"{interbotix_messages}:{repository}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        stack.callback(process.kill)
        graph.until(lambda: process.poll() is not None, timeout=240.0)
        printed, errors = process.communicate()
    assert process.returncode == 1, printed + errors
    (folder,) = (tmp_path / "x").glob("start_of_day_*")
    found = json.loads((folder / "report.json").read_text())["findings"]
    wrong = [(finding["name"], finding["found"]) for finding in found if finding["level"] != "OK"]
    assert [name for name, _ in wrong] == ["wrist cameras"], wrong
    assert "they are swapped" in wrong[0][1]
    assert sum(finding["group"] == "joints" for finding in found) == 12
    assert {file.name for file in folder.glob("*.png")} == {f"{camera}.png" for camera in aloha.CAMERAS}
    for driver in drivers.values():
        assert driver.motors.mistakes == []
        arms = np.array([angles for kind, angles in driver.motors.commands if kind == "arm"])
        # From 0.14 rad beside it, the arms have gone to the start pose, and then each joint by 2 degrees.
        assert np.abs(arms - aloha.START_POSE[:6]).max() <= 0.15
        assert np.ptp(arms, axis=0).min() >= np.radians(1.99)
        assert np.abs(np.diff(arms, axis=0)).max() <= 1.2 * SPEED * 0.02 + 1e-6
