"""Decides what follows where a node of a graph ends by itself.

The supervisor and the launch files ask here, so that a run goes on or ends in the same way under both. What a process
is, and how it is started, they know themselves.
"""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.core.errors import CONFIGURATION_ERROR, FRESH_UNASKED, RUNTIME_ERROR
from chunk_ppo_ros.runtime.description import Graph
from chunk_ppo_ros.runtime.restarts.respawns import RespawnCount

ON_NODE_EXIT = ("stop", "wait", "respawn")
"""The reactions to a node that ends by itself. `NodeEnds` describes them."""

_IN_SPITE = {0: "", FRESH_UNASKED: f", but it was trained from fresh weights that nobody asked for ({FRESH_UNASKED})"}
"""What else is said at the end of a run, by the exit code of the node that ends it."""


@dataclasses.dataclass(frozen=True)
class RunIsDone:
    """The node that ends the run is done.

    Attributes:
        code: the exit code of the run.
        text: the whole line that says so.
    """

    code: int
    text: str


@dataclasses.dataclass(frozen=True)
class RunFails:
    """The run cannot go on. All other nodes are to be stopped.

    Attributes:
        text: what is said beside how the node ended, or an empty string.
        code: the exit code of the run.
    """

    text: str = ""
    code: int = RUNTIME_ERROR


@dataclasses.dataclass(frozen=True)
class StartsAnew:
    """The node is to be started anew.

    Attributes:
        delay: the time to wait before, s.
        text: what is said beside how the node ended.
    """

    delay: float
    text: str


@dataclasses.dataclass(frozen=True)
class GoesOn:
    """The run goes on without the node, which is not started anew.

    Attributes:
        text: what is said beside how the node ended.
    """

    text: str


Reaction = RunIsDone | RunFails | StartsAnew | GoesOn


def how_it_ended(name: str, code: int) -> str:
    """Returns how the process of a node ended, from an exit code that is negative for a signal."""
    return f"{name} was killed by signal {-code}" if code < 0 else f"{name} ended with exit code {code}"


class NodeEnds:
    """Knows which nodes of a graph run, and what follows when one of them ends.

    A node that the run needs is treated as the user chose. 'stop' ends the run. 'wait' leaves the others waiting, until
    no node is left that the run needs. 'respawn' starts it anew, up to MAX_RESPAWNS times in a row where it ends soon
    after each start (`respawns.py`). A refused configuration ends the run in every case, because it is the same at each
    start.

    A node that the run does not need, such as recorder_node, never ends it. It is started anew as often, whatever the
    user chose, and not at all where it refuses its configuration. The run goes on without it where that does not help.

    Args:
        graph: the nodes.
        on_node_exit: one of `ON_NODE_EXIT`.

    Raises:
        ValueError: for another reaction.
    """

    def __init__(self, graph: Graph, on_node_exit: str) -> None:
        if on_node_exit not in ON_NODE_EXIT:
            raise ValueError(
                f"on_node_exit must be one of {', '.join(ON_NODE_EXIT)}, got '{on_node_exit}'; name one of them"
            )
        self._on_node_exit = on_node_exit
        self._ends_with = graph.ends_with
        self._needed = {node.name for node in graph.nodes if node.is_needed}
        self._counts = {node.name: RespawnCount() for node in graph.nodes}
        self._running: set[str] = set()

    def note_start(self, name: str, now: float) -> None:
        """Records that a node is started at `now`, s of steady time."""
        self._running.add(name)
        self._counts[name].note_start(now)

    def on_end(self, name: str, code: int, now: float, *, up_for: float | None) -> Reaction:
        """Returns what follows where a node has ended by itself.

        Args:
            name: the node.
            code: its exit code, which is negative for a signal.
            now: when it ended, s of steady time.
            up_for: the time since it said that it is up, s, or None where it has not.
        """
        self._running.discard(name)
        if name == self._ends_with and code in _IN_SPITE:
            return RunIsDone(code, f"{name} is done; the run has ended{_IN_SPITE[code]}")
        if code == CONFIGURATION_ERROR:
            return self._on_refusal(name)
        if name not in self._needed or self._on_node_exit == "respawn":
            return self._start_anew(name, now, up_for)
        if self._on_node_exit == "wait" and self._running & self._needed:
            return GoesOn("the others wait; start it by hand, or stop with Ctrl-C")
        return RunFails()

    def on_failed_start(self, name: str, now: float) -> Reaction:
        """Returns what follows where a node that was to be started anew cannot be started now."""
        self._running.discard(name)
        return self._start_anew(name, now, None)

    def _on_refusal(self, name: str) -> Reaction:
        if name in self._needed:
            return RunFails(code=CONFIGURATION_ERROR)
        return GoesOn(f"a refused configuration stays refused, so that the run goes on without {name}")

    def _start_anew(self, name: str, now: float, up_for: float | None) -> Reaction:
        count = self._counts[name]
        respawn = count.on_end(now, up_for=up_for)
        if respawn is not None:
            number = f"{respawn.number} of {count.max_respawns}"
            return StartsAnew(respawn.delay, f"it is started anew in {respawn.delay:g} s ({number})")
        useless = f"it was started anew {count.max_respawns} times in a row, and that does not help"
        if name in self._needed:
            return RunFails(useless)
        return GoesOn(f"{useless}; the run goes on without {name}")
