"""Tests that every node runs with an rclpy from before EventsExecutor came, as in some releases of Jazzy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from chunk_ppo_ros.config.parameter_file import write_parameter_file
from chunk_ppo_ros.imitation.success_classifier import SuccessClassifier, init
from chunk_ppo_ros.runtime.description import NODES, NodeEntry
from support.node_harness import node_config

pytestmark = pytest.mark.graph

# This program runs the node of the module argv[1], with the rest of argv as its command line, until its executor has
# waited three times.
PROGRAM = """
import importlib, sys
import rclpy.executors, rclpy.experimental

del rclpy.experimental.EventsExecutor
sys.modules["rclpy.experimental.events_executor"] = None
assert not hasattr(rclpy.executors, "EventsExecutor")
from chunk_ppo_ros.nodes.common.runner import EndOfRun

spin_once, spins = rclpy.executors.SingleThreadedExecutor.spin_once, []

def counted(self, timeout_sec=None):
    spin_once(self, timeout_sec)
    spins.append(self)
    if len(spins) == 3:
        print("spun", flush=True)
        raise EndOfRun

rclpy.executors.SingleThreadedExecutor.spin_once = counted
sys.exit(importlib.import_module(sys.argv[1]).main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def parameter_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes the parameters of a small run on the kinematic simulator whose reward is a classifier's."""
    folder = tmp_path_factory.mktemp("older_rclpy")
    file = folder / "classifier.msgpack"
    classifier = SuccessClassifier(init(1, key=jax.random.key(0)), ("cam_high",), threshold=0.5, held_out_accuracy=0.5)
    classifier.save(file)
    reward = {"sources": ("task", "classifier"), "classifier": str(file)}
    config = node_config(folder, reward=reward, run={"autostart": False})
    write_parameter_file(config, folder / "params.yaml")
    return folder / "params.yaml"


@pytest.mark.parametrize("entry", NODES, ids=lambda entry: entry.name)
def test_a_node_spins_without_events_executor(entry: NodeEntry, parameter_file: Path) -> None:
    arguments = ["--ros-args", "--params-file", str(parameter_file)]
    if entry.name == "deployment_node":
        arguments += ["-p", f"deploy.checkpoints:=[{parameter_file.parent}]"]  # It is not opened before the run begins.
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, entry.module, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **entry.environment},
    )
    assert result.returncode == 0, result.stderr
    assert "spun" in result.stdout
