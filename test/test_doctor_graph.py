"""Tests the command `doctor` beside fake drivers and cameras, and where nothing runs."""

from __future__ import annotations

import array
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import rclpy
from PIL import Image as PillowImage
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from chunk_ppo_ros.nodes.doctor.probes.topic_log import UNNAMED
from chunk_ppo_ros.nodes.wire import qos
from chunk_ppo_ros.nodes.wire.sensors.image_messages import image_to_message
from chunk_ppo_ros.robot import aloha

pytestmark = [pytest.mark.graph("drivers"), pytest.mark.usefixtures("interbotix_messages")]


class Cameras(Node):
    """Sends images of two cameras by the newer name, and compressed ones of the third."""

    def __init__(self) -> None:
        super().__init__("cameras", use_global_arguments=False)
        self._image = np.full((48, 64, 3), 100, np.uint8)
        self._raw = [
            self.create_publisher(Image, f"{camera}/camera/color/image_raw", qos.IMAGE_PUBLISHER)
            for camera in aloha.CAMERAS[:2]
        ]
        self._compressed = self.create_publisher(
            CompressedImage, f"{aloha.CAMERAS[2]}/camera/color/image_raw/compressed", qos.IMAGE_PUBLISHER
        )
        self.create_timer(1 / 30, self._send)

    def _send(self) -> None:
        message = image_to_message(self._image, stamp=self.get_clock().now().nanoseconds, frame_id="camera")
        for publisher in self._raw:
            publisher.publish(message)
        file = CompressedImage(header=message.header, format="rgb8; png compressed")
        PillowImage.fromarray(self._image).save(buffer := io.BytesIO(), "png")
        file.data = array.array("B", buffer.getvalue())
        self._compressed.publish(file)


@pytest.fixture
def ros() -> Iterator[None]:
    rclpy.init()
    yield
    rclpy.shutdown()


class Doctor:
    """Runs the command in a process of its own, where the interface package is found."""

    def __init__(self, messages: Path, repository: Path) -> None:
        self._environment = {**os.environ, "PYTHONPATH": f"{messages}:{repository}"}

    def __call__(self, **variables: str) -> dict[str, dict[str, str]]:
        """Returns the findings by name. The command must find an error, and must end in time."""
        command = [sys.executable, "-m", "chunk_ppo_ros", "doctor", "--json", "--seconds", "5"]
        environment = {**self._environment, **variables}
        result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert result.returncode == 1, result.stderr
        return {finding["name"]: finding for finding in json.loads(result.stdout)["findings"]}


@pytest.fixture
def doctor(interbotix_messages: Path, repository: Path) -> Doctor:
    return Doctor(interbotix_messages, repository)


def test_it_finds_what_drivers_and_cameras_do_and_commands_nothing(ros: None, doctor: Doctor) -> None:
    from support.fake_driver import running_driver
    from support.spinner import spinning

    with ExitStack() as stack:
        drivers = [stack.enter_context(running_driver(side)) for side in aloha.SIDES]
        drivers[1].motors.modes["gripper"] = "pwm"
        stack.enter_context(spinning(Cameras()))
        found = doctor()
        for side in aloha.SIDES:
            assert found[f"follower_{side}/joint_states"]["level"] == "OK"
            assert found[f"rate of follower_{side}/joint_states"]["level"] != "ERROR"
            assert found[f"arm of follower_{side}"]["level"] == "OK", found[f"arm of follower_{side}"]
            assert "fits aloha_vx300s" in found[f"linkage of follower_{side}"]["found"]
            assert found[f"age of follower_{side}/joint_states"]["level"] == "OK"
        assert "as aloha_bringup starts it" in found["gripper of follower_left"]["found"]
        assert found["gripper of follower_right"]["level"] == "ERROR"
        assert found["cam_high"]["found"] == "sends on cam_high/camera/color/image_raw"
        assert found["cam_right_wrist"]["found"] == "sends on cam_right_wrist/camera/color/image_raw/compressed"
        assert found["image of cam_right_wrist"]["found"].startswith("64x48 rgb8; png compressed on ")
        for driver in drivers:
            assert driver.motors.commands == []
            assert {call.split()[0] for call in driver.calls} == {"get_robot_info"}


def test_it_ends_where_nothing_runs(doctor: Doctor) -> None:
    found = doctor()
    assert found["follower_left/joint_states"]["level"] == "ERROR"
    assert found["arm of follower_left"]["found"] == "the service follower_left/get_robot_info is not there"
    assert found["cam_high"]["level"] == "ERROR"
    assert found["graph"]["level"] == "SKIPPED"


def test_it_looks_at_no_graph_in_a_domain_that_there_is_not(doctor: Doctor) -> None:
    """ROS ends the process there, so that no finding would be shown."""
    found = doctor(ROS_DOMAIN_ID="300")
    assert "'300' is no ROS domain" in found["ROS_DOMAIN_ID"]["found"]
    assert "follower_left/joint_states" not in found or found["follower_left/joint_states"]["level"] == "SKIPPED"


def test_a_silent_driver_keeps_nobody_waiting(ros: None, doctor: Doctor) -> None:
    from support.fake_driver import running_driver

    with running_driver("left") as driver:
        driver.is_silent, driver.answer_time = True, 4.0
        found = doctor()
    told = found["follower_left/joint_states"]["found"]  # On a busy machine the name may not be known in time.
    assert told in {f"{node} publishes on it, and nothing comes" for node in ("/follower_left/xs_sdk", UNNAMED)}
    assert found["arm of follower_left"]["found"] == "the service follower_left/get_robot_info does not answer"
