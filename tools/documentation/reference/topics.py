"""The page of all topics and services, made from the lists in `nodes/wire/`."""

from __future__ import annotations

import ast
import itertools
import pathlib
import re
from collections.abc import Iterator

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from chunk_ppo_ros.nodes.wire import services
from chunk_ppo_ros.nodes.wire import topics as wire

_NODES = pathlib.Path(wire.__file__).parents[1]
_SHARED = ("common", "wire", "bench", "launching")
_TOPICS = """# Topics and services

Names are relative to the namespace of the nodes, unless they begin with "/". "Best effort" readers match reliable and
best-effort publishers. The messages of `chunk_ppo_msgs` are described in [Messages](messages.md).

## Topics

"""
_SERVICES = """## Services

An operator, a script or a pedal calls these. A call and its answer are published on `operator_call`.

| service | type |
|---|---|
"""


def page() -> str:
    """Returns the page."""
    entries = "".join(_entry(variable, topic) for variable, topic in _all_topics())
    cameras = (
        "### images of cameras\n\n`sensor_msgs/msg/Image` or `sensor_msgs/msg/CompressedImage`, on the topics that "
        "`robot.image_topic` names. sim_node or a camera's driver publishes them.\n\n"
        f"Publishers: {_profile(wire.qos.IMAGE_PUBLISHER)}. "
        f"Readers: {_profile(wire.qos.SENSOR)}, or reliable in lockstep.\n\n"
    )
    rows = [f"| `{service.path}` | {_type_link(service.type_name)} |\n" for service in services.OPERATOR_SERVICES]
    return _TOPICS + entries + cameras + _SERVICES + "".join(rows)


def _all_topics() -> Iterator[tuple[str, wire.Topic]]:
    """Yields each topic with the name of its variable, in the order of the file."""
    for variable, value in vars(wire).items():
        if isinstance(value, wire.Topic):
            yield variable, value
        elif isinstance(value, dict) and value and all(isinstance(each, wire.Topic) for each in value.values()):
            yield from ((variable, each) for each in value.values())


def _entry(variable: str, topic: wire.Topic) -> str:
    publishers, readers = _users(variable)
    who = [f"Published by {_joined(publishers) or 'drivers, operators or programs of the user'}."]
    who += [f"Read by {_joined(readers)}."] if readers else []
    profiles = f"Publishers: {_profile(topic.profile)}."
    if topic.read is not None:
        profiles += f" Readers: {_profile(topic.read)}."
    text = _docstrings().get(variable, "")
    about = f"{text}\n\n" if text and isinstance(getattr(wire, variable), wire.Topic) else ""
    return f"### `{topic.name}`\n\n{_type_link(topic.type_name)}\n\n{about}{' '.join(who)}\n\n{profiles}\n\n"


def _type_link(type_name: str) -> str:
    package, kind, name = type_name.split("/")
    anchor = "message" if kind == "msg" else "service"
    shown = f"`{type_name}`"
    return f"[{shown}](messages.md#{name.lower()}-{anchor})" if package == "chunk_ppo_msgs" else shown


def _profile(profile: QoSProfile) -> str:
    reliable = profile.reliability == ReliabilityPolicy.RELIABLE
    latched = profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    kept = "the last message" if profile.depth == 1 else f"the last {profile.depth} messages"
    return f"{'reliable' if reliable else 'best effort'}, {'transient local (latched), ' * latched}keep {kept}"


def _joined(names: list[str]) -> str:
    return ", ".join(f"{name}" for name in names)


def _docstrings() -> dict[str, str]:
    """Returns the string that follows the assignment of a variable, for each variable that has one."""
    body = ast.parse(pathlib.Path(wire.__file__).read_text(encoding="utf-8")).body
    found = {}
    for one, following in itertools.pairwise(body):
        if isinstance(one, ast.Assign) and isinstance(following, ast.Expr) and isinstance(one.targets[0], ast.Name):
            found[one.targets[0].id] = " ".join(ast.literal_eval(following.value).split())
    return found


def _users(variable: str) -> tuple[list[str], list[str]]:
    """Returns the nodes whose code publishes on a topic, and those whose code reads it. Shared code counts for none."""
    publishers: set[str] = set()
    readers: set[str] = set()
    for path in sorted(_NODES.rglob("*.py")):
        folder = path.relative_to(_NODES).parts[0]
        text = path.read_text(encoding="utf-8")
        if folder in _SHARED or not re.search(rf"topics\.{variable}\b", text):
            continue
        lines = [line for line in text.splitlines() if re.search(rf"topics\.{variable}\b", line)]
        sends = any("create_publisher" in line or "Outbox(" in line for line in lines) or re.search(
            rf"Outbox\(\s*\w+, topics\.{variable}\b", text
        )
        (publishers if sends else readers).add(_node(folder))
    return sorted(publishers), sorted(readers - publishers)


def _node(folder: str) -> str:
    return f"{folder}_node" if (_NODES / folder / f"{folder}_node.py").exists() else f"`{folder.replace('_', '-')}`"
