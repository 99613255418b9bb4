"""The command lines by which an operator ends a wait, with the names that the services have in the node's namespace."""

from __future__ import annotations

import dataclasses
import re

from rclpy.node import Node

from chunk_ppo_ros.nodes.wire import services
from chunk_ppo_ros.nodes.wire.services import Service

_CALL = re.compile(r"ros2 service call /\S+ [\w/]+(?: '\{.*?\}')?")


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

        def command(service: Service, request: str = "") -> str:
            full_name = node.get_namespace().rstrip("/") + f"/{service.path}"
            return service.command.replace(f"/{service.path}", full_name) + (f" '{request}'" if request else "")

        return cls(
            start_episode=command(services.START_EPISODE),
            reset_done=command(services.RESET_DONE),
            reset=command(services.RESET),
            go_on=command(services.PAUSE, "{data: false}"),
            hand_back=command(services.TAKEOVER, "{data: false}"),
        )


def command_in(reason: str) -> str:
    """Returns the command line of a service call that a reason names, or an empty string."""
    found = _CALL.search(reason)
    return "" if found is None else found.group()
