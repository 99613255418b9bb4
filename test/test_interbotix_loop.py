"""Tests the whole loop of a real robot, from the sleep pose through an update and back, beside fake drivers.

The nodes are processes. sim_node follows the joint states of the drivers, renders the cameras and judges the task.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import rclpy

from chunk_ppo_ros.config import PRESETS, TrainConfig
from chunk_ppo_ros.config.parameter_file import load_config_file, write_parameter_file
from chunk_ppo_ros.robot import aloha
from support.robot_operator import Operator
from support.small_policy import MODEL, make_gentle_tokenizer, save_own

pytestmark = [pytest.mark.graph("drivers"), pytest.mark.slow, pytest.mark.usefixtures("interbotix_messages")]

SLEEPING = [0.0, -2.05, 1.7, 0.0, -2.0, 0.0]  # rad, as an arm lies before the drivers start
NUM_CHUNKS = 4  # of a rollout; an episode has at most three


def loop_config(folder: Path, repository: Path) -> TrainConfig:
    """Returns the settings of config/robot.yaml with the small policy, short rollouts and a mirror."""
    base = load_config_file(repository / "config" / "robot.yaml", base=PRESETS["debug"])
    replaced = dataclasses.replace
    base = replaced(base, model=MODEL)
    checkpoint = save_own(folder / "start", MODEL, config=base, tokenizer=make_gentle_tokenizer())
    ppo = replaced(
        base.ppo, num_chunks_per_update=NUM_CHUNKS, batch_size=2, num_epochs_per_update=1, critic_warmup_updates=0
    )
    places = {"run_dir": str(folder / "runs"), "checkpoint_root": str(folder / "checkpoints"), "wandb": False}
    return replaced(
        base,
        ppo=ppo,
        env=replaced(base.env, mirror="kinematic", max_episode_chunks=3),
        robot=replaced(base.robot, scripted_velocity=1.0, optional_cameras=()),
        run=replaced(base.run, pretrained_checkpoint_path=str(checkpoint), **places),
    )


class Loop:
    """The graph of a robot as processes, beside fake drivers of both followers and an operator.

    Args:
        folder: the folder of all that is written.
        parameters: the parameter file.
        environment: the variables of all processes.
    """

    def __init__(self, folder: Path, parameters: Path, environment: dict[str, str]) -> None:
        self.log = folder / "graph.log"
        self._parameters, self._environment = parameters, environment
        self._stack = ExitStack()

    def __enter__(self) -> Loop:
        from support.fake_driver import running_driver

        with self._stack as stack:
            rclpy.init()
            stack.callback(rclpy.shutdown)
            self.drivers = {s: stack.enter_context(running_driver(s, register_time=0.01)) for s in aloha.SIDES}
            for driver in self.drivers.values():
                for angles in (driver.motors.positions, driver.motors.goals):
                    angles.update(zip(aloha.ARM_JOINTS, SLEEPING, strict=True))
            self.operator = Operator(leaders=True)
            stack.callback(self.operator.close)
            log = stack.enter_context(self.log.open("w"))
            self._graph = stack.enter_context(
                subprocess.Popen(self._command("graph"), env=self._environment, stdout=log, stderr=log)
            )
            stack.callback(self._graph.kill)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def errors(self) -> list[str]:
        """Returns the errors that the command doctor finds, but those of rates, which are a matter of the machine."""
        command = self._command("doctor", "--json")
        report = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=90.0)
        findings = json.loads(report.stdout)["findings"]
        assert len(findings) > 20, report.stderr
        errors = [f"{finding['name']}: {finding['found']}" for finding in findings if finding["level"] == "ERROR"]
        return [error for error in errors if not error.startswith("rate of")]

    def stop(self) -> int:
        """Interrupts the graph as Ctrl-C does, and returns its exit status."""
        self._graph.send_signal(signal.SIGINT)
        return self._graph.wait(timeout=30.0)

    def _command(self, name: str, *more: str) -> list[str]:
        return [sys.executable, "-m", "chunk_ppo_ros", name, "--params_file", str(self._parameters), *more]


def test_a_robot_wakes_acts_learns_and_sleeps(tmp_path: Path, repository: Path, interbotix_messages: Path) -> None:
    parameters = tmp_path / "robot.yaml"
    write_parameter_file(loop_config(tmp_path, repository), parameters)
    path = os.pathsep.join([str(repository), str(interbotix_messages)])
    with Loop(tmp_path, parameters, os.environ | {"PYTHONPATH": path}) as loop:
        loop.operator.until_done("confirm_motion")
        loop.operator.until_done("go_to_start_pose")
        assert loop.errors() == []
        loop.operator.run_episodes(until_version=1)
        loop.operator.until_done("go_to_sleep_pose")
        loop.operator.until_done("torque_off")  # It asks for a second call first.
        assert loop.stop() == 128 + signal.SIGINT, loop.log.read_text()
    for driver in loop.drivers.values():
        assert driver.motors.mistakes == []
        assert not any(driver.motors.torque.values())
        pose = [driver.motors.positions[name] for name in aloha.ARM_JOINTS]
        np.testing.assert_allclose(pose, aloha.SLEEP_POSE[:6], atol=0.02)
        angles = np.array([angles for kind, angles in driver.motors.commands if kind == "arm"])
        assert np.abs(np.diff(angles, axis=0)).max() <= 1.5 / 50 + 1e-6  # robot.max_velocity a control step
    lines = (tmp_path / "runs" / "robot" / "metrics.jsonl").read_text().splitlines()
    (update, *_) = [record for record in map(json.loads, lines) if record["kind"] == "update"]
    assert update["num_chunks"] == NUM_CHUNKS
    assert update["logp_gap/max_ratio"] <= 1e-3
    assert math.isfinite(update["loss/policy"])
