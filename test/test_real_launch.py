"""Starts a simulated graph by `ros2 launch`, where ROS has it, and looks at its output and exit codes.

The wheels of ROS that `make setup` installs have no `launch`. test_launch_file.py tests the launch files without it.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from chunk_ppo_ros.config import PRESETS
from chunk_ppo_ros.config.parameter_file import write_parameter_file
from chunk_ppo_ros.runtime.description import NODES
from support.patience import PATIENCE

ROOT = pathlib.Path(__file__).resolve().parents[1]
pytestmark = [
    pytest.mark.graph,
    pytest.mark.skipif(
        importlib.util.find_spec("ros2launch") is None,
        reason="ros2launch must be installed, which the ROS wheels lack; test with a ROS from apt sourced",
    ),
]
ROS2 = "import sys; from ros2cli.cli import main; sys.exit(main())"


@dataclasses.dataclass
class Launched:
    """A process of `ros2 launch` and what it writes."""

    process: subprocess.Popen[bytes]
    log: pathlib.Path

    @property
    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def until(self, pattern: str, *, timeout: float = PATIENCE) -> re.Match[str]:
        """Returns the first match in the output, and fails where there is none in time."""
        end = time.monotonic() + timeout
        while (found := re.search(pattern, self.text)) is None:
            assert time.monotonic() < end and self.process.poll() is None, f"{pattern} must come:\n{self.text}"
            time.sleep(0.1)
        return found

    def ended(self, *, timeout: float = PATIENCE) -> int:
        """Returns the exit code when the process has ended."""
        return self.process.wait(timeout)

    def until_no_node_runs(self) -> None:
        """Waits for the end of all processes that were started."""
        ids = [int(number) for number in re.findall(r"process started with pid \[(\d+)\]", self.text)]
        end = time.monotonic() + PATIENCE
        while left := [id for id in ids if psutil.pid_exists(id)]:
            assert time.monotonic() < end, f"{left} must end:\n{self.text}"
            time.sleep(0.1)


class Prefix:
    """An install prefix with the package, as `make setup` makes one, and the settings of a short run."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self._launched: list[subprocess.Popen[bytes]] = []
        share, self.settings = folder / "share" / "chunk_ppo_ros", folder / "debug.yaml"
        index = folder / "share" / "ament_index" / "resource_index" / "packages" / "chunk_ppo_ros"
        for source, at in ((ROOT / "package.xml", share / "package.xml"), (ROOT / "resource" / "chunk_ppo_ros", index)):
            at.parent.mkdir(parents=True, exist_ok=True)
            at.symlink_to(source)
        for name in ("launch", "config"):
            (share / name).mkdir()
            for file in (ROOT / name).iterdir():
                (share / name / file.name).symlink_to(file)
        (folder / "lib" / "chunk_ppo_ros").mkdir(parents=True)
        for node in NODES:
            script = folder / "lib" / "chunk_ppo_ros" / node.name
            script.write_text(f'#!/bin/sh\nexec {sys.executable} -m {node.module} "$@"\n')
            script.chmod(0o755)
        write_parameter_file(PRESETS["debug"], self.settings)

    def launch(self, name: str, *arguments: str, file: str = "training.launch.py") -> Launched:
        """Starts `ros2 launch` of a launch file of the package, or of another file by its path."""
        log = self.folder / f"{name}.log"
        places = [f"run_dir:={self.folder / 'runs'}", f"checkpoint_root:={self.folder / 'checkpoints'}"]
        package = [] if file.startswith("/") else ["chunk_ppo_ros"]
        settings = [f"config:={self.settings}", f"exp_name:={name}", "wandb:=false"] if package else []
        prefixes = os.pathsep.join(filter(None, [str(self.folder), os.environ.get("AMENT_PREFIX_PATH", "")]))
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", ROS2, "launch", *package, file, *settings, *places, *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={
                    **os.environ,
                    "AMENT_PREFIX_PATH": prefixes,
                    "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
                    "ROS_LOG_DIR": str(self.folder / "ros"),
                },
                start_new_session=True,
            )
        self._launched.append(process)
        return Launched(process, log)

    def stop(self) -> None:
        """Ends what a failed test has left running, because the next one runs in the same domain."""
        for process in self._launched:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(PATIENCE)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Prefix:
    return Prefix(tmp_path_factory.mktemp("prefix"))


@pytest.fixture
def prefix(installed: Prefix) -> Iterator[Prefix]:
    yield installed
    installed.stop()


def test_a_run_ends_with_exit_code_0_in_the_domain_that_is_exported(prefix: Prefix) -> None:
    run = prefix.launch("whole", "total_timesteps:=128", "namespace:=cell_1", "record:=true", "log_level:=debug")
    domain = os.environ["ROS_DOMAIN_ID"]
    run.until(rf"ROS_DOMAIN_ID={domain}, parameters in {prefix.folder}/runs/whole/params.yaml")
    assert run.ended() == 0, run.text
    assert "[cell_1.trainer_node]: training has reached its end" in run.text
    assert re.findall(r"process\[(\w+)-\d+\] was required", run.text) == ["trainer_node"]
    assert "DEBUG" in run.text
    assert (prefix.folder / "runs" / "whole" / "bag").is_dir()


def test_an_interrupted_run_ends_all_nodes_and_goes_on_with_resume(prefix: Prefix) -> None:
    run = prefix.launch("stopped", "total_timesteps:=100000")
    run.until("episode 3 ENDED")
    run.process.send_signal(signal.SIGINT)
    assert run.ended() == 0, run.text
    assert "was required" not in run.text, "a node that is asked to end is no failure"
    assert len(re.findall("process has finished cleanly", run.text)) == 5
    again = prefix.launch("stopped", "total_timesteps:=100000", "resume:=true")
    again.until("run stopped-.* (goes on|continues|is resumed)")
    again.process.send_signal(signal.SIGINT)
    assert again.ended() == 0, again.text


def test_a_killed_trainer_ends_the_run_with_exit_code_1_and_the_reason(prefix: Prefix) -> None:
    run = prefix.launch("killed", "total_timesteps:=100000")
    number = int(run.until(r"\[trainer_node-\d+\]: process started with pid \[(\d+)\]")[1])
    run.until("episode 1 ENDED")
    os.kill(number, signal.SIGKILL)
    assert run.ended() == 1, run.text
    assert "trainer_node was killed by signal 9" in run.text
    assert len(re.findall("process has finished cleanly", run.text)) == 4


def test_ctrl_c_in_a_terminal_reaches_all_processes_and_ends_them_cleanly(prefix: Prefix) -> None:
    run = prefix.launch("ctrl_c", "total_timesteps:=100000", "record:=true")
    run.until("episode 1 ENDED")
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.ended() == 0, run.text
    assert len(re.findall("process has finished cleanly", run.text)) == 6
    assert "Traceback" not in run.text


@pytest.mark.skipif(sys.platform != "linux", reason="a parent's death is told by Linux only")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_node_outlives_launch(prefix: Prefix, number: signal.Signals) -> None:
    """`launch` ends none of its processes at these signals."""
    run = prefix.launch(f"ended_by_{number}", "total_timesteps:=100000", "record:=true")
    run.until("episode 2 ENDED")
    run.process.send_signal(number)
    assert run.ended() in (1, -number)
    run.until_no_node_runs()
    bag = prefix.folder / "runs" / f"ended_by_{number}" / "bag"
    assert list(bag.glob("*/metadata.yaml")), "recorder_node must have closed its bag"


def test_a_trainer_that_is_started_anew_goes_on_with_its_run(prefix: Prefix) -> None:
    run = prefix.launch("anew", "total_timesteps:=100000", "on_node_exit:=respawn")
    number = int(run.until(r"\[trainer_node-\d+\]: process started with pid \[(\d+)\]")[1])
    run.until("episode 3 ENDED")
    os.kill(number, signal.SIGKILL)
    run.until(r"trainer_node was killed by signal 9; it is started anew in 1 s \(1 of 8\)")
    run.until("run anew-.* (goes on|continues|is resumed)")
    run.process.send_signal(signal.SIGINT)
    assert run.ended() == 0, run.text


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        (1, (r"it is started anew in 1 s \(1 of 8\)", r"it is started anew in 2 s \(2 of 8\)")),
        (2, ("a refused configuration stays refused, so that the run goes on without view_node",)),
    ],
)
def test_a_viewer_that_fails_ends_no_run(prefix: Prefix, code: int, texts: tuple[str, ...]) -> None:
    script = prefix.folder / "lib" / "chunk_ppo_ros" / "view_node"
    script.write_text(f"#!/bin/sh\nexit {code}\n")
    run = prefix.launch(f"viewer_{code}", "total_timesteps:=100000", "live_view:=True")
    for text in texts:
        run.until(f"view_node ended with exit code {code}; {text}")
    run.until("episode 2 ENDED")
    run.process.send_signal(signal.SIGINT)
    assert run.ended() == 0, run.text
    assert "nodes with the name" not in run.text


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("simulater:=none", "unknown argument simulater; did you mean simulator?"),
        ("learning_rate:=-1", "learning_rate must be"),
        ("resume:=true", "holds no finished checkpoint to resume from"),
    ],
)
def test_a_wrong_argument_is_refused_before_a_node_starts(prefix: Prefix, argument: str, text: str) -> None:
    run = prefix.launch("wrong", argument)
    assert run.ended() == 1
    assert text in run.text and "process started" not in run.text


def test_a_launch_file_that_includes_ours_may_have_arguments_of_its_own(prefix: Prefix) -> None:
    lab = prefix.folder / "lab.launch.py"
    lab.write_text(
        "from launch import LaunchDescription\n"
        "from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription\n"
        "from launch.launch_description_sources import PythonLaunchDescriptionSource\n"
        "def generate_launch_description():\n"
        "    ours = PythonLaunchDescriptionSource("
        f"'{prefix.folder}/share/chunk_ppo_ros/launch/training.launch.py')\n"
        f"    settings = {{'config': '{prefix.settings}', 'exp_name': 'included', 'wandb': 'false'}}.items()\n"
        "    return LaunchDescription([DeclareLaunchArgument('lab_lights', default_value='on'),\n"
        "        IncludeLaunchDescription(ours, launch_arguments=settings)])\n"
    )
    run = prefix.launch("included", "lab_lights:=off", file=str(lab))
    run.until("trainer_node-.*process started")
    run.process.send_signal(signal.SIGINT)
    assert run.ended() == 0, run.text
