"""Tests how a node's process starts and ends, seen from outside."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from chunk_ppo_ros.runtime import supervised
from chunk_ppo_ros.runtime.restarts.readiness import UpFile

pytestmark = pytest.mark.graph

PROGRAM = """
from __future__ import annotations
import hashlib, threading, time
from rclpy.node import Node
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.nodes.common import runner
from chunk_ppo_ros.nodes.wire import parameters

class Probe(Node):
    def __init__(self) -> None:
        super().__init__("probe")
        parameters.declare(self, "ppo", extra={"mode": "what to do"})
        self.mode = self.get_parameter("mode").value
        self.is_ready = self.mode != "loading"
        print("up", flush=True)
        if "working" in self.mode:
            threading.Thread(target=time.sleep, args=(60,)).start()  # Python's own end would wait for it.
        if self.mode == "refused_while_working":
            raise ValueError("the camera is unknown")
        if self.mode == "bug_at_start":
            raise RuntimeError("a bug")
        if self.mode == "finished_at_start":
            raise runner.EndOfRun(3)
        if self.mode == "slow_start":
            time.sleep(30)
        self.create_timer(0.01, self.tick)

    def tick(self) -> None:
        if self.mode == "busy":
            # Like a compilation: one call that lasts for minutes, releases the interpreter and cannot be interrupted.
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
        if self.mode in ("finished", "finished_while_working"):
            raise runner.EndOfRun
        if self.mode == "ended":
            self.failure = runner.EndOfRun()
        if self.mode == "user_error":
            raise UserError("the disk is full; make room")
        if self.mode == "failure":
            self.failure = UserError("the checkpoint does not load; name another")
        if self.mode == "bug":
            raise ValueError("a bug")

    def destroy_node(self) -> None:
        print("closed", flush=True)
        super().destroy_node()

runner.run_node(Probe, close_timeout=0.6)
"""


def start(*parameters: str, **variables: str) -> subprocess.Popen[str]:
    """Starts the node with further variables of its environment."""
    arguments = [part for parameter in parameters for part in ("-p", parameter)]
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), *(["--ros-args", *arguments] if arguments else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "ROS_DOMAIN_ID": "33",
            **variables,
        },
    )


def wait_until_up(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("mode", ["idle", "slow_start", "busy"])
def test_a_signal_ends_it_within_a_second_and_quietly(mode: str, number: signal.Signals) -> None:
    for _ in range(3):  # A busy machine may stand still for seconds.
        process = start(f"mode:={mode}")
        wait_until_up(process)
        time.sleep(0.2)
        began = time.monotonic()
        process.send_signal(number)
        output, errors = process.communicate(timeout=25)  # less than a slow start, or the call of a busy node, takes
        assert (process.returncode, errors) == (0, "")
        assert ("closed" in output) == (mode == "idle")
        if (took := time.monotonic() - began) < 2.0:  # a second, and another for a busy machine
            break
    assert took < 2.0


@pytest.mark.parametrize(
    ("parameter", "code", "text"),
    [
        ("ppo.gamma:=2.0", 2, "configuration error: gamma must be within 0.0..1.0, got 2.0\n"),
        ("mode:=user_error", 1, "error: the disk is full; make room\n"),
        ("mode:=finished", 0, ""),
        ("mode:=refused_while_working", 2, "configuration error: the camera is unknown\n"),
        ("mode:=finished_while_working", 0, ""),
    ],
)
def test_exit_codes_and_one_line(parameter: str, code: int, text: str) -> None:
    process = start(parameter)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == code
    assert errors.endswith(text)
    assert "Traceback" not in errors


def test_a_node_that_keeps_its_failure_ends_with_one_line_alone() -> None:
    process = start("mode:=failure")
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (1, "error: the checkpoint does not load; name another\n")


def test_a_node_that_keeps_the_end_of_its_run_logs_nothing() -> None:
    """EventsExecutor would log it as a fatal error if a callback raised it."""
    process = start("mode:=ended")
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")


def test_a_node_needs_no_arguments() -> None:
    process = start()
    wait_until_up(process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize(("mode", "is_up"), [("idle", True), ("refused_while_working", False), ("loading", False)])
def test_the_supervisor_learns_that_a_node_is_up_when_it_spins_and_is_ready(
    mode: str, is_up: bool, tmp_path: pathlib.Path
) -> None:
    up = UpFile(tmp_path / "probe.up")
    process = start(f"mode:={mode}", **up.environment)
    wait_until_up(process)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert (up.up_for() is not None) == is_up


LAUNCH = """
import os, subprocess, sys, time
environment = {**os.environ, sys.argv[1]: str(os.getpid())}
print(subprocess.Popen([sys.executable, "-c", sys.argv[2]], env=environment, stdout=2).pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a parent's death is told by Linux only")
def test_a_node_ends_cleanly_when_the_launch_that_started_it_is_killed(tmp_path: pathlib.Path) -> None:
    """What follows is that of `ros2 launch` at SIGTERM, SIGKILL and the end of its terminal."""
    with (tmp_path / "log").open("w+") as log:
        program = textwrap.dedent(PROGRAM)
        arguments = [sys.executable, "-c", LAUNCH, supervised.VARIABLE, program]
        environment = {**os.environ, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_DOMAIN_ID": "33"}
        launch = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        assert launch.stdout is not None
        node = int(launch.stdout.readline())
        deadline = time.monotonic() + 120.0
        while "up\n" not in (tmp_path / "log").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        launch.kill()
        launch.communicate()
        while psutil.pid_exists(node) and psutil.Process(node).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert (tmp_path / "log").read_text() == "up\nclosed\n"


@pytest.mark.parametrize(("ignored", "ends"), [(False, True), (True, False)])
def test_the_end_of_its_terminal_ends_a_node_that_nohup_did_not_start(ignored: bool, ends: bool) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        process = start("mode:=idle")
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_until_up(process)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.0 if ends else 2.0)
    assert ends or process.poll() is None
    if not ends:
        process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)  # The signal may come before the node spins, which then has no end.
    assert (process.returncode, errors) == (0, "")


def test_a_bug_is_not_hidden() -> None:
    process = start("mode:=bug")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" in errors
    assert "ValueError: a bug" in errors


@pytest.mark.parametrize(
    ("mode", "code", "ends"), [("bug_at_start", 1, "RuntimeError: a bug\n"), ("finished_at_start", 3, "")]
)
def test_a_node_that_was_not_made_is_not_destroyed(mode: str, code: int, ends: str) -> None:
    """`destroy_node` may need what the constructor has not made. Its error would stand below the one that matters."""
    process = start(f"mode:={mode}")
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, output) == (code, "up\n")
    assert errors.endswith(ends) and errors.count("Traceback") == bool(ends)
