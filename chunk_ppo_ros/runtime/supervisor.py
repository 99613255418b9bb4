"""Starts a graph of nodes as processes, forwards their logs, and leaves none of them running.

The supervisor replaces `ros2 launch` where the `launch` package is not installed. It does not need ROS itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import FrameType

from chunk_ppo_ros.config.flags.program import SHOWS_PROGRESS
from chunk_ppo_ros.runtime import interrupts
from chunk_ppo_ros.runtime.console import Console
from chunk_ppo_ros.runtime.description import LOGS, Graph, NodeDescription
from chunk_ppo_ros.runtime.process import Child
from chunk_ppo_ros.runtime.restarts.node_ends import (
    GoesOn,
    NodeEnds,
    Reaction,
    RunFails,
    RunIsDone,
    StartsAnew,
    how_it_ended,
)

STOP_STEPS = ((0.0, signal.SIGINT), (2.0, signal.SIGTERM), (4.0, signal.SIGKILL))
"""The signals that a stop sends to every node that still runs, each with the seconds since the stop began."""

POLL_PERIOD = 0.05  # s

_TAIL_LINES = 15


@dataclasses.dataclass(frozen=True)
class _End:
    """Holds the reason why the graph is stopped, and the exit code that follows."""

    code: int
    message: str


class Supervisor:
    """Runs a graph until the node that ends the run is done, a node dies, or `stop` is called.

    Args:
        graph: the nodes.
        run_dir: the folder of the logs `<run_dir>/logs/<node>.log`. None takes the graph's own folder.
        domain_id: the ROS domain of all nodes.
        on_node_exit: the reaction to a node that ends by itself, one of ON_NODE_EXIT (`node_ends.py`). trainer_node
            that is started anew continues from its newest checkpoint.
        environment: further variables for all nodes.
        output: a function that takes each line of the nodes, with the node's name before it, and each line of the
            supervisor. None writes them to standard output.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        run_dir: pathlib.Path | None = None,
        domain_id: int,
        on_node_exit: str = "stop",
        environment: Mapping[str, str] | None = None,
        output: Callable[[str], None] | None = None,
    ) -> None:
        self._ends = NodeEnds(graph, on_node_exit)
        self._graph = graph
        self._logs = (run_dir or graph.run_dir) / LOGS
        console = Console(sys.stdout)
        self._output = output or console.line
        self._progress = console.progress if output is None else _ignore
        self._environment = {
            **os.environ,
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "PYTHONUNBUFFERED": "1",
            SHOWS_PROGRESS: "1" if output is None and console.shows_progress else "",
            "ROS_LOG_DIR": str(self._logs / "ros"),
            **(environment or {}),
            "ROS_DOMAIN_ID": str(domain_id),
        }
        self._children: dict[str, Child] = {}
        self._due: dict[str, float] = {}
        self._asked: _End | None = None

    def stop(self) -> None:
        """Asks a running supervisor to stop all nodes and return 0. It may be called from any thread."""
        self._asked = self._asked or _End(0, "stopping")

    def run(self) -> int:
        """Starts the nodes and returns when all have ended.

        Returns:
            0 when the last node of the graph was done or `stop` was called, 1 when a node died, 128 + n after signal n.
            CONFIGURATION_ERROR when a node has refused its configuration.
            FRESH_UNASKED when the last node was done, and had trained from fresh weights that nobody asked for.
        """
        self._logs.mkdir(parents=True, exist_ok=True)
        with self._signals():
            try:
                end = self._supervise()
                self._output(end.message)
            finally:
                self._stop_all()
        return end.code

    def _supervise(self) -> _End:
        for node in self._graph.nodes:
            if self._asked is not None:
                break
            self._start(node)
        while self._asked is None:
            end = self._look_at_children(time.monotonic())
            if end is not None:
                return end
            time.sleep(POLL_PERIOD)
        return self._asked

    def _start(self, node: NodeDescription, *, anew: bool = False) -> None:
        arguments = ["--ros-args", "--params-file", str(self._graph.parameter_file)]
        for parameter, value in self._graph.parameters(node, anew=anew).items():
            arguments += ["-p", f"{parameter}:={str(value).lower()}"]
        arguments += self._graph.ros_arguments
        module = [sys.executable, "-m", "chunk_ppo_ros.runtime.supervised", str(os.getpid()), node.module]
        self._ends.note_start(node.name, time.monotonic())
        self._children[node.name] = Child(
            node.name,
            [*node.prefix, *module, *arguments],
            environment={**node.environment, **self._environment},
            log=self._logs / f"{node.name}.log",
            output=self._output,
            progress=self._progress,
        )

    def _look_at_children(self, now: float) -> _End | None:
        for name in [name for name, due in self._due.items() if now >= due]:
            del self._due[name]
            end = self._start_anew(name, now)
            if end is not None:
                return end
        for name, child in list(self._children.items()):
            code = child.poll()
            if code is None:
                continue
            del self._children[name]
            reaction = self._ends.on_end(name, code, now, up_for=child.up_for)
            child.close()
            tail = "\n".join(f"    {line}" for line in child.tail(_TAIL_LINES)) or "    (nothing)"
            end = self._react(name, f"{how_it_ended(name, code)}; its last lines:\n{tail}", reaction, now)
            if end is not None:
                return end
        return None

    def _start_anew(self, name: str, now: float) -> _End | None:
        """Starts a node that has ended. Where the machine cannot start a process now, it is tried again later."""
        try:
            self._start(next(node for node in self._graph.nodes if node.name == name), anew=True)
        except OSError as error:
            return self._react(name, f"{name} cannot be started: {error}", self._ends.on_failed_start(name, now), now)
        return None

    def _react(self, name: str, text: str, reaction: Reaction, now: float) -> _End | None:
        """Does what follows where a node has ended. Returns the end of the graph where that follows.

        Args:
            name: the node.
            text: how it ended.
            reaction: what follows.
            now: when it ended, s of steady time.
        """
        match reaction:
            case RunIsDone(code, line):
                return _End(code, line)
            case RunFails(why, code):
                return _End(code, "\n".join(filter(None, [text, why])))
            case StartsAnew(delay, what):
                self._due[name] = now + delay
                self._output(f"{text}\n{what}")
            case GoesOn(what):
                self._output(f"{text}\n{what}")
        return None

    def _stop_all(self) -> None:
        """Ends all nodes and all processes that they have started, by the signals of `STOP_STEPS` in turn."""
        began = time.monotonic()
        for after, number in STOP_STEPS:
            while self._running() and time.monotonic() - began < after:
                time.sleep(POLL_PERIOD)
            for child in self._running():
                child.send(number)
        for child in self._children.values():
            child.close()

    def _running(self) -> list[Child]:
        return [child for child in self._children.values() if child.poll() is None]

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Makes SIGINT, SIGTERM and SIGHUP stop the graph within the context, if this is the main thread.

        SIGHUP does nothing where `nohup` started the supervisor.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = interrupts.without_nohup((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        before = {number: signal.signal(number, self._on_signal) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._asked = self._asked or _End(128 + number, f"stopped by {signal.Signals(number).name}")


def _ignore(line: str) -> None:
    """Drops a progress line, because only finished lines are wanted."""
