"""Plays an operator who leads nodes through their lifecycle, as `ros2 lifecycle set` does."""

from __future__ import annotations

from collections.abc import Callable

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.node import Node

from support.patience import PATIENCE

TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "cleanup": Transition.TRANSITION_CLEANUP,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "shutdown": Transition.TRANSITION_ACTIVE_SHUTDOWN,
}


class LifecycleOperator:
    """Asks one node for transitions of its lifecycle, by its service.

    Args:
        node: the node that asks.
        name: the name of the node that is asked.
        until: spins until a condition holds.
    """

    def __init__(self, node: Node, name: str, until: Callable[..., None]) -> None:
        self._client = node.create_client(ChangeState, f"{name}/change_state")
        self._until = until
        until(self._client.service_is_ready, timeout=PATIENCE)

    def ask(self, *transitions: str) -> list[bool]:
        """Asks for transitions one after another, and returns of each whether the node made it."""
        made = []
        for transition in transitions:
            request = ChangeState.Request(transition=Transition(id=TRANSITIONS[transition]))
            future = self._client.call_async(request)
            self._until(future.done)
            made.append(future.result().success)
        return made
