"""Serves what operators call, and publishes each call with its answer, so that a recording tells the whole story."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

from chunk_ppo_msgs.msg import OperatorCall
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import header_of, time_from_ns
from chunk_ppo_ros.nodes.wire.services import Service

Answer = Callable[[Any, Any], Any]
"""A function of a request and an empty response that returns the response, or an awaitable of it."""


class OperatorCalls:
    """Offers services of a node, and publishes on `operator_call` what was asked and answered.

    Args:
        node: the node that serves.
        run_id: returns the run that the node serves, or an empty string before any.
    """

    def __init__(self, node: Node, *, run_id: Callable[[], str]) -> None:
        self._node = node
        self._run_id = run_id
        self._publisher = topics.OPERATOR_CALL.create_publisher(node)

    def serve(self, service: Service, answer: Answer, *, group: CallbackGroup | None = None) -> None:
        """Offers a service whose responses have the fields `success` and `message`.

        Args:
            service: an entry of the table of services.
            answer: answers a request. It may be a coroutine function, which needs a group that lets other calls in.
            group: the callback group, or None for that of the node.
        """

        def on_call(request: Any, response: Any) -> Any:
            called = self._now()
            return self._tell(service.name, request, answer(request, response), called)

        async def on_long_call(request: Any, response: Any) -> Any:
            called = self._now()
            return self._tell(service.name, request, await answer(request, response), called)

        callback = on_long_call if inspect.iscoroutinefunction(answer) else on_call
        self._node.create_service(service.service_type, f"~/{service.name}", callback, callback_group=group)

    def tell(self, name: str, *, success: bool, message: str) -> None:
        """Publishes what an operator did by other means than a service, such as a gesture or a message on a topic."""
        self._publish(name, "", success, message, called=self._now())

    def _tell(self, name: str, request: Any, response: Any, called: int) -> Any:
        self._publish(name, _as_json(request), response.success, response.message, called=called)
        return response

    def _publish(self, name: str, request: str, success: bool, message: str, *, called: int) -> None:
        self._publisher.publish(
            OperatorCall(
                header=header_of(self._now()),
                run_id=self._run_id(),
                sender=DEFAULT_SENDER,
                called=time_from_ns(called),
                node=self._node.get_name(),
                name=name,
                request=request,
                success=success,
                message=message,
            )
        )

    def _now(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)


def _as_json(request: Any) -> str:
    fields = {name: getattr(request, name) for name in request.get_fields_and_field_types()}
    fields.pop("structure_needs_at_least_one_member", None)
    return json.dumps(fields, default=list) if fields else ""
