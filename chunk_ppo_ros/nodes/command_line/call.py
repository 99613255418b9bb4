"""Runs the command `call`, which calls a service of a running graph."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

from rclpy.executors import SingleThreadedExecutor

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.nodes.command_line.flags import call_parser
from chunk_ppo_ros.nodes.command_line.graph_view import GraphView, absolute, open_view
from chunk_ppo_ros.nodes.command_line.messages import as_plain, as_yaml, fill, load_type

OF_ROS = (
    *("/describe_parameters", "/get_parameters", "/get_parameter_types", "/list_parameters", "/set_parameters"),
    *("/set_parameters_atomically", "/get_type_description", "/get_transition_graph"),
)
"""The ends of the names of services that every node has. `--list` leaves them out."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Calls the service and prints the answer. Returns 1 where the answer says that it did not succeed."""
    parser = call_parser()
    given = parser.parse_args(arguments)
    if not given.list and not given.name:
        parser.error("a service must be named, such as /reward_node/start_episode; --list prints them")
    with open_view(given.domain_id) as view:
        return _list(view) if given.list else _call(view, given)


def _list(view: GraphView) -> int:
    view.settle()
    for name, types in sorted(view.get_service_names_and_types()):
        if not name.endswith(OF_ROS):
            print(f"{name:<45} {', '.join(types)}")
    return 0


def _call(view: GraphView, given: argparse.Namespace) -> int:
    name = absolute(given.name)
    found = view.type_of_service(name)
    rest = list(given.rest)
    if rest and "/" in rest[0] and not rest[0].lstrip().startswith("{"):
        asked = rest.pop(0)
        if asked != found:
            raise UserError(f"the service {name} must be called with its type {found}, got {asked}")
    if len(rest) > 1:
        raise UserError(f"the request must be one text, such as '{{data: true}}', got {' '.join(rest)}; quote it")
    service = load_type(found, kind="srv")
    request = fill(service.Request(), rest[0] if rest else "")
    client: Any = view.create_client(service, name)
    executor = SingleThreadedExecutor()
    executor.add_node(view)
    if not client.wait_for_service(given.timeout):
        raise UserError(f"the service {name} must answer, got nothing within {given.timeout:g} s")
    future = client.call_async(request)
    end = time.monotonic() + given.timeout
    while not future.done() and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.1)
    if not future.done():
        raise UserError(
            f"the service {name} must answer within {given.timeout:g} s (--timeout), got nothing; look at its log"
        )
    answer = future.result()
    print(as_yaml(as_plain(answer)))
    return 0 if getattr(answer, "success", True) else 1
