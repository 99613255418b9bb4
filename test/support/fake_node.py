"""Has a node without ROS, for tests of the parts that nodes are made of."""

from __future__ import annotations

import copy
import time
import types
from collections.abc import Callable, Hashable
from typing import Any

from rclpy.time import Time

from chunk_ppo_ros.nodes.common.conditions import Condition, Conditions
from chunk_ppo_ros.nodes.common.peers.message_origin import WithOrigin


class FakePublisher:
    """Keeps what is published. Tests set how many subscribers it has."""

    def __init__(self, topic: str) -> None:
        self.topic_name = topic
        self.num_subscribers = 1
        self.messages: list[Any] = []

    def publish(self, message: Any) -> None:
        self.messages.append(copy.deepcopy(message))  # The node may fill the same message again.

    def get_subscription_count(self) -> int:
        return self.num_subscribers


class FakeFuture:
    """The answer to a request, which tests give."""

    def __init__(self) -> None:
        self.response: Any = None

    def done(self) -> bool:
        return self.response is not None

    def result(self) -> Any:
        return self.response


class FakeClient:
    """Keeps the requests, and answers the newest as tests say. Tests set whether its service is there."""

    def __init__(self) -> None:
        self.is_ready = True
        self.requests: list[Any] = []
        self.future: FakeFuture | None = None

    def service_is_ready(self) -> bool:
        return self.is_ready

    def call_async(self, request: Any) -> FakeFuture:
        self.requests.append(request)
        self.future = FakeFuture()
        return self.future

    def remove_pending_request(self, future: FakeFuture) -> None:
        self.future = None

    def answer(self, success: bool, message: str = "") -> None:
        """Answers the newest request, for which somebody must wait."""
        assert self.future is not None
        self.future.response = types.SimpleNamespace(success=success, message=message)


class FakeTimer:
    """A timer that fires when a test says so.

    Attributes:
        on_time: what it calls.
        is_due: whether `reset` was called since the last `cancel`, or the timer was started when it was made.
    """

    def __init__(self, on_time: Callable[[], None], *, is_due: bool) -> None:
        self.on_time = on_time
        self.is_due = is_due

    def reset(self) -> None:
        self.is_due = True

    def cancel(self) -> None:
        self.is_due = False


class FakeTime:
    """The ROS time of a node, which tests set by its attribute `now`. It keeps the times that are noted."""

    def __init__(self, node: FakeNode) -> None:
        self.noted: list[int] = []
        self._node = node

    def note(self, stamp: int) -> None:
        self.noted.append(stamp)

    def now(self) -> int:
        return self._node.now


class FakeNode:
    """A node and its logger in one. It keeps what is logged and published, and tests call what it subscribes to.

    Attributes:
        lines: what is logged, as (level, text).
        publishers: the publishers by topic.
        subscribers: what is called with the messages of a topic, by topic. Where the node wants to know who sends, the
            name of the sender may be given too.
        clients: the clients by service.
        timers: the timers, in the order in which they were made.
        present: the names of the nodes that publish on a topic, by topic; the graph shows them with this name as id.
        listening: the names of the nodes that listen to a topic, by topic; one named listener by default.
        gids: the ids of the publishers of nodes, by the name of the node; where it has none, its name is its id.
        now: the ROS time, ns.
        ros_time: gives that time to parts which stamp messages.
    """

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.publishers: dict[str, FakePublisher] = {}
        self.subscribers: dict[str, Callable[..., None]] = {}
        self.clients: dict[str, FakeClient] = {}
        self.services: dict[str, Callable[[Any, Any], Any]] = {}
        self.present: dict[str, list[str]] = {}
        self.listening: dict[str, list[str]] = {}
        self.gids: dict[str, bytes] = {}
        self.timers: list[FakeTimer] = []
        self.now = 0
        self.ros_time = FakeTime(self)
        self._conditions = Conditions(self)  # type: ignore[arg-type]

    def get_logger(self) -> FakeNode:
        return self

    def debug(self, text: str) -> None:
        """Drops a line, as a node does at its usual log level."""

    def info(self, text: str) -> None:
        self.lines.append(("info", text))

    def warning(self, text: str) -> None:
        self.lines.append(("warning", text))

    def error(self, text: str) -> None:
        self.lines.append(("error", text))

    def take_lines(self) -> list[tuple[str, str]]:
        """Returns what was logged since the last call."""
        lines, self.lines = self.lines, []
        return lines

    def raise_condition(self, condition: Condition, **values: Hashable) -> None:
        self._conditions.raise_condition(condition, **values)

    def clear_condition(self, condition: Condition, **values: Hashable) -> None:
        self._conditions.clear_condition(condition, **values)

    def create_publisher(self, kind: type, topic: str, profile: Any) -> FakePublisher:
        return self.publishers.setdefault(topic, FakePublisher(topic))

    def create_subscription(
        self, kind: type, topic: str, on_message: Callable[[Any], None], profile: Any, *, raw: bool = False
    ) -> None:
        if isinstance(on_message, WithOrigin):
            self.subscribers[topic] = lambda message, publisher="": on_message(
                message, {"source_timestamp": time.time_ns(), "publisher_gid": {"data": publisher.encode()}}
            )
        else:
            self.subscribers[topic] = on_message

    def create_client(self, kind: type, name: str) -> FakeClient:
        return self.clients.setdefault(name, FakeClient())

    def create_service(
        self, kind: type, name: str, on_request: Callable[[Any, Any], Any], *, callback_group: object = None
    ) -> None:
        self.services[name.removeprefix("~/")] = on_request

    def create_timer(
        self, period: float, on_time: Callable[[], None], *, clock: object = None, autostart: bool = True
    ) -> FakeTimer:
        self.timers.append(FakeTimer(on_time, is_due=autostart))
        return self.timers[-1]

    def get_namespace(self) -> str:
        return "/"

    def get_name(self) -> str:
        return "fake_node"

    def resolve_topic_name(self, topic: str) -> str:
        return topic

    def count_publishers(self, topic: str) -> int:
        return len(self.present.get(topic, []))

    def get_publishers_info_by_topic(self, topic: str) -> list[Any]:
        names = self.present.get(topic, [])
        gids = [self.gids.get(name, name.encode()) for name in names]
        return [
            types.SimpleNamespace(node_name=name, node_namespace="/", endpoint_gid=gid)
            for name, gid in zip(names, gids, strict=True)
        ]

    def get_subscriptions_info_by_topic(self, topic: str) -> list[Any]:
        names = self.listening.get(topic, ["listener"])
        return [types.SimpleNamespace(node_name=name) for name in names]

    def get_clock(self) -> FakeNode:
        """Returns the node itself, which stands for its clock. The clock's `now` is the attribute of this name."""
        return types.SimpleNamespace(now=lambda: Time(nanoseconds=self.now))  # type: ignore[return-value]

    def published(self, topic: str) -> list[Any]:
        """Returns what was published on a topic since the last call."""
        publisher = self.publishers[topic]
        messages, publisher.messages = publisher.messages, []
        return messages


class SteadyClock:
    """Stands for the module `time` of a module under test. Tests set `now`, s."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now
