"""The processes of robot_node, of which the newest runs."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys

LOG = "robot_node.log"
ROOT = pathlib.Path(__file__).resolve().parents[2]
HORIZON = 50
"""The largest number of points of a chunk."""


class RobotProcesses:
    """Starts robot_node with the settings of config/robot.yaml, and sends it signals.

    Args:
        folder: where robot_node keeps its files.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []  # all that were started, the newest last

    def start(self) -> None:
        """Starts a robot_node."""
        settings = {
            "env.simulator": "none",
            "robot.backend": "ros2_control",
            "robot.align_leaders": "false",  # this back end does not command leaders
            "model.action_horizon": HORIZON,
            "run.run_dir": self._folder,
        }
        words = [word for name, value in settings.items() for word in ("-p", f"{name}:={value}")]
        file = ROOT / "config/robot.yaml"
        module = "chunk_ppo_ros.nodes.robot.robot_node"
        command = [sys.executable, "-m", module, "--ros-args", "--params-file", str(file), *words]
        with (self._folder / LOG).open("a") as log:
            self._processes.append(subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log))

    def signal(self, number: int) -> None:
        """Sends a signal to the newest."""
        self._processes[-1].send_signal(number)

    def wait(self) -> None:
        """Waits until the newest has ended."""
        self._processes[-1].wait()

    def close(self) -> None:
        """Ends all of them."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
            try:
                process.wait(5.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def log(self) -> str:
        """Returns the last lines of the log."""
        return "\n".join((self._folder / LOG).read_text().splitlines()[-5:])
