"""The command lines by which an operator ends a wait, with the names that the services have in the node's namespace."""

from __future__ import annotations

import dataclasses

from rclpy.node import Node

from chunk_ppo_ros.config.flags.service_calls import SERVICE_CALL
from chunk_ppo_ros.nodes.wire import services


@dataclasses.dataclass(frozen=True)
class OperatorCommands:
    """The command lines that the texts of reward_node name."""

    start_episode: str
    reset_done: str
    reset: str
    go_on: str
    hand_back: str

    @classmethod
    def of(cls, node: Node) -> OperatorCommands:
        """Returns the command lines with the names that the services have beside this node."""
        namespace = node.get_namespace()
        return cls(
            start_episode=services.START_EPISODE.command_in(namespace),
            reset_done=services.RESET_DONE.command_in(namespace),
            reset=services.RESET.command_in(namespace),
            go_on=services.PAUSE.command_in(namespace, "{data: false}"),
            hand_back=services.TAKEOVER.command_in(namespace, "{data: false}"),
        )


def command_in(reason: str) -> str:
    """Returns the command line of a service call that a reason names, or an empty string."""
    found = SERVICE_CALL.search(reason)
    return "" if found is None else found.group()
