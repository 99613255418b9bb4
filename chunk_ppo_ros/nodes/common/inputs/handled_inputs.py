"""Publishes what a node has handled, in the order in which it did, as `handled_input`.

A node that decides by what it hears is the only one who knows this order. Another subscriber, such as a recorder, gets
the messages of several topics in another order.
"""

from __future__ import annotations

import array
import dataclasses
import functools
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

from chunk_ppo_msgs import msg
from rclpy.node import Node
from rclpy.serialization import serialize_message

from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import header_of, time_from_ns
from chunk_ppo_ros.nodes.wire.services import Service
from chunk_ppo_ros.nodes.wire.topics import Topic

ResultT = TypeVar("ResultT")

RECORDED_ONCE = (topics.ACTION_CHUNK.name, topics.BOOTSTRAP.name)
"""The names of the topics whose messages have images. They are known by their sequence numbers, and recorded as they
are."""

SAVED_VERSION = "saved_version"
"""The name by which trainer_node tells that it collects for a version, which is saved, among the transitions that it
has answered and the ends of episodes."""


class Handles(Protocol):
    """A function such as `HandledInputs.handles`."""

    def __call__(self, source: Topic | Service | str, function: Callable[..., ResultT]) -> Callable[..., ResultT]:
        """Returns the function that handles what comes from a source."""


def not_told(source: Topic | Service | str, function: Callable[..., ResultT]) -> Callable[..., ResultT]:
    """Returns the function itself, where nobody needs to know what it has handled, as in a test of one part."""
    return function


@dataclasses.dataclass(frozen=True)
class Input:
    """Something that a node handles.

    Attributes:
        handle: handles it. It takes the message or the request, or nothing where there is none.
        content: the type of the message or the request, or None.
    """

    handle: Callable[..., Any]
    content: type | None


class HandledInputs:
    """Wraps the functions by which a node handles what it hears, and publishes after each call what it was.

    Args:
        node: the node that publishes.
        run_id: returns the run that the node serves, or an empty string before any.
        ros_time: returns the ROS time, ns; None takes that of the node's clock.
        steady_time: returns the steady time, s.

    Attributes:
        table: what the node handles, by the names of topics, services and others.
        goes_on: whether the node has gone on from what an earlier process had stored of the run.
        num_told: the number of inputs that were told.
    """

    def __init__(
        self,
        node: Node,
        *,
        run_id: Callable[[], str],
        ros_time: Callable[[], int] | None = None,
        steady_time: Callable[[], float] = time.monotonic,
    ) -> None:
        self.table: dict[str, Input] = {}
        self.goes_on = False
        self._name = node.get_name()
        self._run_id = run_id
        self._ros_time = ros_time or (lambda: int(node.get_clock().now().nanoseconds))
        self._steady_time = steady_time
        self._publisher = topics.HANDLED_INPUT.create_publisher(node)
        self._began = time.time_ns()
        self.num_told = 0
        self._now: float | None = None
        self._restarts: list[str] = []

    @property
    def now(self) -> float:
        """The steady time at which the node began to handle what it handles now, s."""
        return self._steady_time() if self._now is None else self._now

    def handles(self, source: Topic | Service | str, function: Callable[..., ResultT]) -> Callable[..., ResultT]:
        """Returns the function that handles what comes from a source. It has the signature of the given one.

        Args:
            source: the topic or the service, or a word for what is neither.
            function: handles the message or the request, or takes no argument.

        Raises:
            ValueError: where the source has a function already.
        """
        name, content = _described(source)
        if name in self.table:
            raise ValueError(f"an input must be handled by one function, got a second one for {name}; give it a name")

        @functools.wraps(function)
        def handle(*arguments: Any) -> ResultT:
            outer = self._now
            self._now = self._steady_time() if outer is None else outer
            restarts, self._restarts = self._restarts, []
            try:
                return function(*arguments)
            finally:
                self._tell(name, arguments[0] if content is not None else None)
                self._now, self._restarts = outer, restarts

        self.table[name] = Input(handle, content)
        return handle

    def tell(self, name: str, number: int) -> None:
        """Publishes that something was handled that a number identifies."""
        self._publish(name, number=number)

    def note_restarts(self, restarts: Iterable[str]) -> None:
        """Notes which nodes were found to be started anew, with what is handled now. Each is one text."""
        self._restarts += restarts

    def _tell(self, name: str, content: Any) -> None:
        if name in RECORDED_ONCE:
            self._publish(name, run_id=content.run_id, number=content.sequence_number)
        elif content is None:
            self._publish(name)
        else:
            self._publish(name, content=serialize_message(content))

    def _publish(self, name: str, *, run_id: str = "", number: int = 0, content: bytes = b"") -> None:
        self._publisher.publish(
            msg.HandledInput(
                header=header_of(self._ros_time()),
                run_id=run_id or self._run_id(),
                sender=DEFAULT_SENDER,
                node=self._name,
                began=time_from_ns(self._began),
                index=self.num_told,
                steady_time=self.now,
                name=name,
                number=number,
                content=array.array("B", content),
                restarts=self._restarts,
                goes_on=self.goes_on,
            )
        )
        self.num_told += 1


def _described(source: Topic | Service | str) -> tuple[str, type | None]:
    """Returns the name of a source, and the type of its messages or requests, or None where it has none."""
    match source:
        case Topic():
            return source.name, source.message_type
        case Service():
            return source.name, source.service_type.Request  # type: ignore[attr-defined]
        case _:
            return source, None
