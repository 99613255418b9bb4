"""A node that looks at the graph of a ROS domain: names, types, publishers and services."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions

from chunk_ppo_ros.config.flags import command_line
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.suggestions import nearest, question
from chunk_ppo_ros.nodes.common.ros_log_folder import ensure_log_folder
from chunk_ppo_ros.runtime.ros_domain import find_domain, keep_to_this_machine

DISCOVERY = 10.0
"""The longest time that a name is waited for, s."""
SETTLING = 1.0
"""How long nothing new must appear until all nodes count as known, s."""
PERIOD = 0.05


@contextlib.contextmanager
def open_view(domain: int | None) -> Iterator[GraphView]:
    """Yields a view of a domain, and leaves the domain with the context.

    Args:
        domain: the ROS domain, or None for that of the environment or of the graph that runs on this machine.

    Raises:
        UserError: where several graphs run on this machine, and nothing says which one is meant.
    """
    keep_to_this_machine()
    ensure_log_folder()
    os.environ["ROS_DOMAIN_ID"] = str(find_domain(domain))
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    view = GraphView()
    try:
        yield view
    finally:
        view.destroy_node()
        rclpy.shutdown()


class GraphView(Node):
    """Says what there is in the graph."""

    def __init__(self) -> None:
        super().__init__(node_name(), enable_rosout=False, start_parameter_services=False)

    def settle(self) -> None:
        """Waits until there are other nodes, and no new topic or service has appeared for `SETTLING` seconds.

        Raises:
            UserError: where no other node appears within `DISCOVERY`.
        """
        end = time.monotonic() + DISCOVERY
        while len(self.get_node_names()) < 2:
            if time.monotonic() > end:
                raise UserError(
                    f"nodes must run in ROS domain {os.environ['ROS_DOMAIN_ID']}, got none within {DISCOVERY:g} s; "
                    "start a graph, or look at another domain by --domain_id"
                )
            time.sleep(PERIOD)
        seen, since = -1, time.monotonic()
        while time.monotonic() - since < SETTLING:
            now = len(self.get_topic_names_and_types()) + len(self.get_service_names_and_types())
            if now != seen:
                seen, since = now, time.monotonic()
            time.sleep(PERIOD)

    def type_of_topic(self, name: str) -> str:
        """Returns the type of a topic, and waits for the topic to appear.

        Raises:
            UserError: where no topic has the name within `DISCOVERY`, or its publishers disagree about the type.
        """
        return self._wait("topic", name, self.get_topic_names_and_types)

    def type_of_service(self, name: str) -> str:
        """Returns the type of a service, and waits for the service to appear.

        Raises:
            UserError: where no service has the name within `DISCOVERY`.
        """
        return self._wait("service", name, self.get_service_names_and_types)

    def matching_profile(self, name: str, *, depth: int = 100) -> QoSProfile:
        """Returns a QoS profile with which a subscription hears every publisher of a topic, and what is latched."""
        offered = [info.qos_profile for info in self.get_publishers_info_by_topic(name)]
        is_reliable = bool(offered) and all(one.reliability == ReliabilityPolicy.RELIABLE for one in offered)
        is_latched = bool(offered) and all(one.durability == DurabilityPolicy.TRANSIENT_LOCAL for one in offered)
        return QoSProfile(
            depth=depth,
            history=HistoryPolicy.KEEP_LAST,
            reliability=ReliabilityPolicy.RELIABLE if is_reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if is_latched else DurabilityPolicy.VOLATILE,
        )

    def _wait(self, kind: str, name: str, names_and_types) -> str:  # type: ignore[no-untyped-def]
        end = time.monotonic() + DISCOVERY
        while True:
            known = dict(names_and_types())
            if name in known:
                types = known[name]
                if len(types) > 1:
                    raise UserError(f"the {kind} {name} must have one type, got {', '.join(types)}")
                return str(types[0])
            if time.monotonic() > end:
                break
            time.sleep(PERIOD)
        same_end = [each for each in sorted(known) if name.rpartition("/")[2] in each][:3]
        near = nearest(name, known, most=3) or same_end
        listing = "topic list" if kind == "topic" else "call --list"
        hint = question(near) or f"`{command_line(listing)}` shows what there is"
        raise UserError(
            f"the {kind} {name} must be in ROS domain {os.environ['ROS_DOMAIN_ID']}, got none within {DISCOVERY:g} s; "
            f"{hint} (--domain_id looks at another domain)"
        )


def node_name() -> str:
    """Returns the name of the node, whose beginning `listeners.py` takes for that of a node that only watches."""
    return f"chunk_ppo_command_{os.getpid()}"


def absolute(name: str) -> str:
    """Returns a name with a slash in front."""
    return name if name.startswith("/") else f"/{name}"
