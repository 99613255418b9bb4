"""Makes the actions for `launch` that start the nodes of a graph, and says what `launch` does when one of them ends.

`runtime/restarts/node_ends.py` decides what follows, as it does for the supervisor. The argument `respawn` of `launch`
is not used. It knows one delay, gives a node the arguments of before, and leaves the others running when it gives up.
"""

from __future__ import annotations

import os
import time

from launch import LaunchContext, LaunchDescriptionEntity
from launch.actions import LogInfo, OpaqueFunction, Shutdown, TimerAction
from launch.events.process import ProcessExited
from launch_ros.actions import Node

from chunk_ppo_ros.runtime import supervised
from chunk_ppo_ros.runtime.description import LOGS, Graph, NodeDescription
from chunk_ppo_ros.runtime.restarts.node_ends import GoesOn, NodeEnds, RunFails, RunIsDone, StartsAnew, how_it_ended
from chunk_ppo_ros.runtime.restarts.readiness import UpFile

STOP_STEP = "1.5"
"""The seconds from SIGINT to SIGTERM, and from there to SIGKILL. Even a node that compiles ends within five seconds."""


class RunFailed(Exception):
    """The run has ended otherwise than it should. `launch` logs the text, stops the other nodes, and exits with 1."""


class NodeActions:
    """Starts the nodes of one graph, also anew.

    Args:
        graph: the nodes.
        on_node_exit: the reaction to a node that ends by itself, one of `node_ends.ON_NODE_EXIT`.
    """

    def __init__(self, graph: Graph, *, on_node_exit: str) -> None:
        self._graph = graph
        self._ends = NodeEnds(graph, on_node_exit)
        self._logs = graph.run_dir / LOGS
        self._logs.mkdir(parents=True, exist_ok=True)

    def start(self, node: NodeDescription, *, anew: bool = False) -> Node:
        """Returns the action that starts a node now. It has no name, because `launch` warns of one that comes again."""
        self._ends.note_start(node.name, time.monotonic())
        up = UpFile(self._logs / f"{node.name}.up")
        own = {name: value for name, value in node.environment.items() if name not in os.environ}
        return Node(
            package="chunk_ppo_ros",
            executable=node.name,
            namespace=self._graph.namespace or None,
            ros_arguments=list(self._graph.log_arguments),
            parameters=[str(self._graph.parameter_file), self._graph.parameters(node, anew=anew)],
            additional_env={**own, **up.environment, supervised.VARIABLE: str(os.getpid())},
            prefix=" ".join(node.prefix),
            output="screen",
            sigterm_timeout=STOP_STEP,
            sigkill_timeout=STOP_STEP,
            on_exit=lambda event, context: self._on_exit(node, up, event, context),
        )

    def _on_exit(
        self, node: NodeDescription, up: UpFile, event: ProcessExited, context: LaunchContext
    ) -> list[LaunchDescriptionEntity]:
        """Returns what follows where the process of a node has ended.

        Raises:
            RunFailed: where the run ends otherwise than it should, because `launch` has no other way to an exit code
                that is not 0.
        """
        up_for = up.up_for()
        up.remove()
        if context.is_shutdown:  # It was asked to end.
            return []
        how = how_it_ended(node.name, event.returncode)
        match self._ends.on_end(node.name, event.returncode, time.monotonic(), up_for=up_for):
            case RunIsDone(0, line):
                return [Shutdown(reason=line)]
            case RunIsDone(_, line):
                raise RunFailed(line)
            case RunFails(why):
                raise RunFailed("; ".join(filter(None, [how, why])))
            case StartsAnew(delay, what):
                again = OpaqueFunction(function=lambda context: [self.start(node, anew=True)])
                return [LogInfo(msg=f"{how}; {what}"), TimerAction(period=delay, actions=[again])]
            case GoesOn(what):
                return [LogInfo(msg=f"{how}; {what}")]
