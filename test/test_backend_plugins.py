"""Tests a robot back end of another package, which only `robot.backend` names."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import numpy as np
import pytest
from rclpy.node import Node

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.errors import RegistryError
from chunk_ppo_ros.nodes.robot.robot_backends import ROBOT_BACKENDS, make_backend
from chunk_ppo_ros.nodes.robot.ros2_control import Ros2ControlBackend
from support import plugin_package
from support.lone_node import lone_node

RECORDER = """
class Recorder:
    def __init__(self, node, config):
        self.node, self.config, self.sent = node, config, []

    def send(self, target, *, stamp):
        self.sent.append((target, stamp))

def nothing(node, config):
    return None
"""


@pytest.fixture
def node() -> Iterator[Node]:
    with lone_node() as node:
        yield node


@pytest.fixture(autouse=True)
def package(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a package with a back end that keeps what it is sent, and one that makes nothing."""
    names = {"recorder": "plugin_backend:Recorder", "nothing": "plugin_backend:nothing"}
    plugin_package.install(
        tmp_path,
        monkeypatch,
        name="own-backend",
        modules={"plugin_backend": RECORDER},
        entry_points={"chunk_ppo_ros.robot_backends": names},
    )


def test_the_default_is_ros2_control(node: Node) -> None:
    assert isinstance(make_backend(node, RobotConfig()), Ros2ControlBackend)


def test_another_package_adds_a_back_end(node: Node) -> None:
    config = RobotConfig(backend="recorder")
    backend = make_backend(node, config)
    backend.send(np.zeros(14), stamp=7)
    assert backend.sent[0][1] == 7
    assert (backend.node, backend.config) == (node, config)
    assert ROBOT_BACKENDS.names() == ("ros2_control", "interbotix", "nothing", "recorder")


def test_an_unknown_back_end_lists_what_there_is(node: Node) -> None:
    with pytest.raises(
        RegistryError, match=r"robot\.backend must be one of ros2_control, interbotix, nothing, recorder, got"
    ):
        make_backend(node, RobotConfig(backend="ros_control"))


def test_what_makes_no_back_end_is_refused(node: Node) -> None:
    with pytest.raises(RegistryError, match="'nothing' must make a RobotBackend, got None without send"):
        make_backend(node, RobotConfig(backend="nothing"))
