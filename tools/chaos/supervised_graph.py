"""Starts the graph with its supervisor, finds the processes of its nodes, and kills them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from chaos.settings import NODES, SUPERVISOR

_NODE_MODULES = {f"chunk_ppo_ros.nodes.{node.removesuffix('_node')}.{node}": node for node in NODES}


def _parent_of(process_id: int) -> int:
    """Returns the parent of a process, or 0 where the process is gone."""
    try:
        text = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return 0
    state, parent = text.rpartition(")")[2].split()[:2]
    return 0 if state == "Z" else int(parent)


def children_of(process_id: int) -> dict[int, list[str]]:
    """Returns the arguments of the running children of a process by their process ids."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        if _parent_of(int(path.name)) == process_id:
            try:
                found[int(path.name)] = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:  # It ended meanwhile.
                continue
    return found


def dies_with_this_process() -> list[str]:
    """Returns the first words of a command that cannot outlive this process, however this one ends."""
    return [sys.executable, "-m", "chunk_ppo_ros.runtime.supervised_program", str(os.getpid())]


class SupervisedGraph:
    """Runs the command `graph`, and kills only what it has started.

    Args:
        flags: the flags of the command.
        environment: the variables of its processes.
        output: the file that its output is appended to.
    """

    def __init__(self, flags: Sequence[str], environment: Mapping[str, str], output: Path) -> None:
        self._command = [sys.executable, "-m", "chunk_ppo_ros", "graph", "--on_node_exit", "respawn", *flags]
        self._environment = dict(environment)
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, resume: bool) -> None:
        """Starts the supervisor, which starts the nodes."""
        domain = ["--domain_id", self._environment["ROS_DOMAIN_ID"]]
        command = [*self._command, *domain, *(["--resume"] if resume else [])]
        with self._output.open("ab") as file:
            self._process = subprocess.Popen(
                [*dies_with_this_process(), *command],
                env=self._environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """The exit code of the supervisor, or None while it runs."""
        return None if self._process is None else self._process.poll()

    def nodes(self) -> dict[str, int]:
        """Returns the process ids of the nodes that run now."""
        if self._process is None or self._process.poll() is not None:
            return {}
        found = {}
        for process_id, arguments in children_of(self._process.pid).items():
            for argument in arguments:
                if argument in _NODE_MODULES:
                    found[_NODE_MODULES[argument]] = process_id
        return found

    def kill(self, targets: Sequence[str]) -> list[str]:
        """Kills nodes, or the supervisor, at once. Returns which of them there were to kill."""
        nodes = self.nodes()
        killed = []
        for target in targets:
            if target == SUPERVISOR and self._process is not None and self._process.poll() is None:
                self._process.kill()
                self._process.wait()
                killed.append(target)
            elif target in nodes:
                os.kill(nodes[target], signal.SIGKILL)
                killed.append(target)
        return killed

    def stop(self, *, patience: float = 20.0) -> int | None:
        """Stops the graph as Ctrl-C does, and returns the exit code of the supervisor."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        time.sleep(0.2)  # The nodes of a supervisor that was killed end at once after it.
        return self._process.returncode

    def last_lines(self, number: int = 30) -> str:
        """Returns the last lines of the output."""
        return "\n".join(self._output.read_text(errors="replace").splitlines()[-number:])
