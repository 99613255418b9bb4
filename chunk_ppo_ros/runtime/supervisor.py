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
from chunk_ppo_ros.core.errors import CONFIGURATION_ERROR, FRESH_UNASKED
from chunk_ppo_ros.runtime.console import Console
from chunk_ppo_ros.runtime.description import LOGS, Graph, NodeDescription
from chunk_ppo_ros.runtime.process import Child
from chunk_ppo_ros.runtime.respawns import RespawnCount

ON_NODE_EXIT = ("stop", "wait", "respawn")
"""The reactions to a node that ends by itself. `Supervisor` describes them."""

STOP_STEPS = ((0.0, signal.SIGINT), (2.0, signal.SIGTERM), (4.0, signal.SIGKILL))
"""The signals that a stop sends to every node that still runs, each with the seconds since the stop began."""

POLL_PERIOD = 0.05  # s

_TAIL_LINES = 15
_IN_SPITE = {0: "", FRESH_UNASKED: f", but it was trained from fresh weights that nobody asked for ({FRESH_UNASKED})"}
"""What else is said at the end of a run, by the exit code of the node that ends it."""


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
        on_node_exit: the reaction to a node that ends by itself. 'stop' stops all nodes. 'wait' leaves the others
            waiting. 'respawn' starts the node anew, up to MAX_RESPAWNS times in a row where it ends soon after each
            start (`respawns.py`); trainer_node then continues from its newest checkpoint. A refused configuration stops
            all nodes in every case. A node that the run does not need, such as recorder_node, is started anew in every
            other case, and the run goes on without it where that does not help.
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
        if on_node_exit not in ON_NODE_EXIT:
            raise ValueError(
                f"on_node_exit must be one of {', '.join(ON_NODE_EXIT)}, got '{on_node_exit}'; name one of them"
            )
        self._graph = graph
        self._logs = (run_dir or graph.run_dir) / LOGS
        self._on_node_exit = on_node_exit
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
        self._respawns = {node.name: RespawnCount() for node in graph.nodes}
        self._not_needed = {node.name for node in graph.nodes if not node.is_needed}
        self._due: dict[str, float] = {}
        self._asked: _End | None = None

    def stop(self) -> None:
        """Asks a running supervisor to stop all nodes and return 0. It may be called from any thread."""
        self._asked = self._asked or _End(0, "stopping")

    def run(self) -> int:
        """Starts the nodes and returns when all have ended.

        Returns:
            0 when the last node of the graph was done or `stop` was called, 1 when a node died, 128 + n after signal n.
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
        arguments += ["-p", f"use_sim_time:={'true' if node.use_sim_time else 'false'}"]
        arguments += self._graph.ros_arguments
        arguments += node.respawn_arguments if anew and self._graph.has_checkpoint else ()
        module = [sys.executable, "-m", "chunk_ppo_ros.runtime.supervised", str(os.getpid()), node.module]
        self._respawns[node.name].note_start(time.monotonic())
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
            if child.is_up:
                self._respawns[name].note_up(now)
            if code is None:
                continue
            del self._children[name]
            child.close()
            if name == self._graph.ends_with and code in (0, FRESH_UNASKED):
                return _End(code, f"{name} is done; the run has ended{_IN_SPITE[code]}")
            end = self._on_death(name, code, child, now)
            if end is not None:
                return end
        return None

    def _start_anew(self, name: str, now: float) -> _End | None:
        """Starts a node that has ended. Where the machine cannot start a process now, it is tried again later."""
        try:
            self._start(next(node for node in self._graph.nodes if node.name == name), anew=True)
        except OSError as error:
            text = f"{name} cannot be started: {error}"
            if name not in self._not_needed:
                return self._respawn(name, text, now)
            self._go_on_without(name, text, now)
        return None

    def _on_death(self, name: str, code: int, child: Child, now: float) -> _End | None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        tail = "\n".join(f"    {line}" for line in child.tail(_TAIL_LINES)) or "    (nothing)"
        text = f"{name} {how}; its last lines:\n{tail}"
        if name in self._not_needed and code != CONFIGURATION_ERROR:
            self._go_on_without(name, text, now)
            return None
        if self._on_node_exit == "stop" or code == CONFIGURATION_ERROR:
            return _End(1, text)
        if self._on_node_exit == "wait":
            if not self._children:
                return _End(1, text)
            self._output(f"{text}\nthe others wait; start it by hand, or stop with Ctrl-C")
            return None
        return self._respawn(name, text, now)

    def _go_on_without(self, name: str, text: str, now: float) -> None:
        """Lets a node be started anew that the run does not need. The run goes on in any case."""
        end = self._respawn(name, text, now)
        if end is not None:
            self._output(f"{end.message}; the run goes on without {name}")

    def _respawn(self, name: str, text: str, now: float) -> _End | None:
        """Lets a node be started anew after a while. Returns the end of the graph where that has not helped."""
        count = self._respawns[name]
        respawn = count.on_end(now)
        if respawn is None:
            times = f"{count.max_respawns} times in a row"
            return _End(1, f"{text}\nit was started anew {times}, and that does not help")
        self._due[name] = now + respawn.delay
        number = f"{respawn.number} of {count.max_respawns}"
        self._output(f"{text}\nit is started anew in {respawn.delay:g} s ({number})")
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
        """Makes SIGINT, SIGTERM and SIGHUP stop the graph within the context, if this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
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
