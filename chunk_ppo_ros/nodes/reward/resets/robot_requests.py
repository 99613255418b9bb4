"""Asks robot_node for something during a reset, and takes the answer when it comes."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.task import Future

from chunk_ppo_ros.nodes.wire.services import Service


class RobotRequest:
    """The client of one service of robot_node, which answers with `success` and `message`. It never waits.

    Args:
        node: the node that asks.
        service: the service.
    """

    def __init__(self, node: Node, service: Service) -> None:
        self._client = service.create_client(node)
        self._future: Future[Any] | None = None

    @property
    def is_reachable(self) -> bool:
        """Whether robot_node is there to answer."""
        return bool(self._client.service_is_ready())

    @property
    def is_open(self) -> bool:
        """Whether an answer is waited for."""
        return self._future is not None

    def send(self, request: Any) -> None:
        """Asks, and gives up an answer that is still waited for."""
        self.abandon()
        self._future = self._client.call_async(request)

    def take_answer(self) -> tuple[bool, str] | None:
        """Returns `success` and `message` once when the answer has come, and None otherwise."""
        if self._future is None or not self._future.done():
            return None
        response: Any = self._future.result()
        self._future = None
        return (False, "robot_node gave no answer") if response is None else (response.success, response.message)

    def abandon(self) -> None:
        """Stops waiting for an answer."""
        if self._future is not None:
            self._client.remove_pending_request(self._future)
            self._future = None
