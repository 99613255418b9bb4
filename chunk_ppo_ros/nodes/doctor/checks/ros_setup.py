"""Checks how ROS is set up: its release, its middleware, its domain, and who can reach it over the network."""

from __future__ import annotations

from collections.abc import Iterator

from chunk_ppo_ros.core.findings.finding import Finding, error, ok, skipped, warn
from chunk_ppo_ros.nodes.doctor.facts import Facts, RosFacts
from chunk_ppo_ros.runtime.ros_domain import DDS_DOMAINS

PRIVATE_RANGES = ("LOCALHOST", "OFF")
"""The values of ROS_AUTOMATIC_DISCOVERY_RANGE with which other machines are not looked for."""
RANGES = (*PRIVATE_RANGES, "SUBNET", "SYSTEM_DEFAULT")


def distribution(facts: Facts) -> Iterator[Finding]:
    """Says which release of ROS is sourced."""
    if facts.ros.distribution:
        yield ok("ROS_DISTRO", facts.ros.distribution)
    else:
        reason = "no release of ROS is sourced; the ROS packages of this Python environment are used"
        yield skipped("ROS_DISTRO", reason)
    yield ok("middleware", facts.ros.middleware)


def domain(facts: Facts) -> Iterator[Finding]:
    """Says which ROS domain is looked at."""
    if is_domain(facts.ros):
        yield ok("ROS_DOMAIN_ID", facts.ros.domain or "0")
        return
    last = DDS_DOMAINS.stop - 1
    advice = f"set it to a number of 0..{last}; then this command looks at the robot, too"
    yield error("ROS_DOMAIN_ID", f"{facts.ros.domain!r} is no ROS domain", advice)


def is_domain(ros: RosFacts) -> bool:
    """Returns whether ROS_DOMAIN_ID is a ROS domain, or is not set."""
    return not ros.domain or ros.domain in map(str, DDS_DOMAINS)


def discovery(facts: Facts) -> Iterator[Finding]:
    """Says which machines can see, and command, the robot."""
    name, given, peers = "ROS_AUTOMATIC_DISCOVERY_RANGE", facts.ros.discovery_range, facts.ros.static_peers
    if given and given not in RANGES:
        yield error(name, f"{given!r} is unknown", f"set it to one of {', '.join(RANGES)}")
    elif given in PRIVATE_RANGES:
        yield ok(name, given)
    elif facts.ros.localhost_only == "1":
        yield warn(name, "unset, and the outdated ROS_LOCALHOST_ONLY is 1", f"set {name}=LOCALHOST in its place")
    else:
        found = given or "unset, which stands for SUBNET"
        yield warn(name, f"{found}: anyone on the network can command the arms", f"set {name}=LOCALHOST")
    if peers and given == "OFF":
        yield error("ROS_STATIC_PEERS", f"{peers}, which OFF leaves out", f"set {name}=LOCALHOST")
    elif peers:
        yield ok("ROS_STATIC_PEERS", peers)


CHECKS = (distribution, domain, discovery)
