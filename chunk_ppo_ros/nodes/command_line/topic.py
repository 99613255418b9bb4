"""Runs the command `topic`: it looks at the topics of a running graph, and publishes on one."""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import time
from collections.abc import Sequence
from typing import Any

from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor

from chunk_ppo_ros.config.flags import FlagParser
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.nodes.command_line.flags import topic_parser
from chunk_ppo_ros.nodes.command_line.graph_view import GraphView, absolute, open_view
from chunk_ppo_ros.nodes.command_line.messages import as_plain, as_yaml, field_of, fill, load_type

MATCHING = 5.0
"""The longest time that a publisher waits for a subscription, s."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what the first word says."""
    parser = topic_parser()
    given = parser.parse_args(arguments)
    if given.action != "list" and not given.name:
        parser.error(f"{given.action} needs the name of a topic; see the examples of --help")
    if given.action == "pub" and len(given.message) not in (1, 2):
        parser.error("pub needs a type, and its fields in one text: std_msgs/msg/Float32 '{data: 1.0}', for example")
    _check_alone(parser, given)
    actions = {"list": list_topics, "echo": echo, "hz": hz, "pub": pub}
    with open_view(given.domain_id) as view:
        return actions[given.action](view, given)


def _check_alone(parser: FlagParser, given: argparse.Namespace) -> None:
    """Refuses words behind those that are read, so that nobody takes them for being heeded."""
    if given.action == "list" and given.name:
        parser.error(f"list takes no name, got {given.name}; echo shows the messages of a topic")
    if given.action in ("echo", "hz") and given.message:
        parser.error(f"{given.action} takes the name of a topic alone, got {given.message[0]} too; leave it out")


def list_topics(view: GraphView, given: argparse.Namespace) -> int:
    """Prints the names of the topics, and with --types their types and numbers of nodes."""
    view.settle()
    for name, types in sorted(view.get_topic_names_and_types()):
        if name in ("/parameter_events", "/rosout") and not given.types:
            continue
        counts = f"{view.count_publishers(name)} publish, {view.count_subscribers(name)} listen"
        print(f"{name:<55} {', '.join(types):<42} {counts}" if given.types else name)
    return 0


def echo(view: GraphView, given: argparse.Namespace) -> int:
    """Prints messages as YAML, with a line of three dashes after each."""
    left = 1 if given.once else given.times
    for message in _messages(view, given.name, timeout=given.timeout):
        value = field_of(message, given.field) if given.field else message
        print(as_yaml(as_plain(value, **({"shown": None} if given.full_length else {}))) + "\n---", flush=True)
        left -= 1
        if left == 0:
            return 0
    return 0


def hz(view: GraphView, given: argparse.Namespace) -> int:
    """Prints the rate of a topic once a second."""
    arrivals: list[float] = []
    shown = 0.0
    for _ in _messages(view, given.name, timeout=given.timeout, seconds=given.seconds):
        arrivals.append(time.monotonic())
        if arrivals[-1] - shown > 1.0:
            shown = arrivals[-1]
            print(_rate(arrivals), flush=True)
    print(_rate(arrivals), flush=True)
    return 0


def pub(view: GraphView, given: argparse.Namespace) -> int:
    """Publishes one message, as soon as somebody listens, and waits until it is on its way."""
    kind, *fields = given.message
    message = fill(load_type(kind)(), "".join(fields))
    publisher = view.create_publisher(type(message), absolute(given.name), 1)
    end = time.monotonic() + MATCHING
    while not publisher.get_subscription_count():
        if time.monotonic() > end:
            raise UserError(f"nobody listens to {absolute(given.name)}; look at the name and at --domain_id")
        time.sleep(0.02)
    publisher.publish(message)
    print(f"published {as_plain(message)}")
    publisher.wait_for_all_acked(Duration(seconds=MATCHING))
    return 0


def _messages(view: GraphView, name: str, *, timeout: float, seconds: float = math.inf) -> Any:
    """Yields the messages of a topic.

    Args:
        view: the view of the graph.
        name: the topic.
        timeout: the longest silence, s; 0 waits without an end.
        seconds: the time after the first message at which it ends, s, also where no other message comes.

    Raises:
        UserError: where nothing comes for `timeout` seconds.
    """
    topic = absolute(name)
    kind = load_type(view.type_of_topic(topic))
    heard: list[Any] = []
    view.create_subscription(kind, topic, heard.append, view.matching_profile(topic))
    executor = SingleThreadedExecutor()
    executor.add_node(view)
    last, end = time.monotonic(), math.inf
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=0.1)
        if heard:
            last = time.monotonic()
            end = min(end, last + seconds)
        elif timeout and time.monotonic() - last > timeout:
            raise UserError(f"nothing came on {topic} within {timeout:g} s (--timeout)")
        while heard:
            yield heard.pop(0)


def _rate(arrivals: list[float]) -> str:
    gaps = [later - earlier for earlier, later in itertools.pairwise(arrivals)]
    if not gaps:
        return "1 message so far"
    mean = statistics.fmean(gaps)
    rate = 1.0 / mean if mean else 0.0
    return f"{rate:.2f} Hz; gaps {min(gaps) * 1e3:.1f} to {max(gaps) * 1e3:.1f} ms, {len(arrivals)} messages"
