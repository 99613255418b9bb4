"""Says what is wrong with the commands of `ros2` in the documents, without running them."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_type_hints

import yaml

from chunk_ppo_ros.config import OperateConfig, RobotConfig, TrainConfig
from chunk_ppo_ros.nodes.wire import services
from chunk_ppo_ros.nodes.wire import topics as wire
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.runtime.description import NODES

_TRANSITIONS = {"configure", "activate", "deactivate", "cleanup", "shutdown"}
_PUBLISHED_ONCE = 2


def fault_of_ros(words: Sequence[str], root: pathlib.Path) -> str:
    """Returns what is wrong with the arguments of `ros2`, or an empty text."""
    verbs, rest = tuple(words[:2]), [word for word in words[2:] if word not in ("--once",)]
    if verbs == ("service", "call"):
        return _fault_of_call(rest)
    if verbs in (("topic", "echo"), ("topic", "pub"), ("topic", "hz")):
        return _fault_of_topic(rest)
    if verbs in (("param", "set"), ("param", "describe")):
        return _fault_of_parameter(rest, sets=verbs[1] == "set")
    if verbs == ("lifecycle", "set"):
        node, transition = rest
        known = node.strip("/") in {entry.name for entry in NODES} and transition in _TRANSITIONS
        return "" if known else f"no node {node} has the transition {transition}"
    if verbs == ("launch", "chunk_ppo_ros"):
        return _fault_of_launch(rest, root)
    if verbs == ("run", "chunk_ppo_ros"):
        executables = {"chunk_ppo", "chunk_ppo_ros", *(entry.name for entry in NODES)}
        return "" if rest[0] in executables else f"there is no executable {rest[0]}"
    return ""


def _fault_of_parameter(rest: Sequence[str], *, sets: bool) -> str:
    """Returns why a node has no such parameter, or why nobody may change it while the node runs, or an empty text."""
    node, (section, _, name) = rest[0].strip("/"), rest[1].partition(".")
    sections = get_type_hints(TrainConfig)
    fields = {field.name: field for field in dataclasses.fields(sections[section])} if section in sections else {}
    if node not in {entry.name for entry in NODES} or name not in fields:
        return f"no node {rest[0]} has the parameter {rest[1]}"
    fixed = sets and not fields[name].metadata["adjustable"]
    return f"{rest[1]} cannot be set while the node runs" if fixed else ""


def fault_of_names(words: Sequence[str]) -> str:
    """Returns what is wrong with the names in `chunk_ppo topic` or `chunk_ppo call`, or an empty text."""
    rest = [word for word in words[1:] if word != "--once"]
    if words and words[0] == "call":
        found = [service for service in services.OPERATOR_SERVICES if service.path == rest[0].strip("/")]
        return _fault_of_call([rest[0], found[0].type_name, *rest[1:]]) if found else _fault_of_call(rest)
    named = words and words[0] == "topic" and rest[0] != "list"
    return _fault_of_topic(rest[1:]) if named else ""


def _fault_of_call(rest: Sequence[str]) -> str:
    by_path = {service.path: service for service in services.OPERATOR_SERVICES}
    service = by_path.get(rest[0].strip("/"))
    if service is None:
        return f"there is no service {rest[0]}"
    if service.type_name != rest[1]:
        return f"{rest[0]} has the type {service.type_name}, not {rest[1]}"
    request: Any = service.service_type
    return _fault_of_fields(request.Request(), rest[2]) if len(rest) > _PUBLISHED_ONCE else ""


def _fault_of_topic(rest: Sequence[str]) -> str:
    by_name = {topic.name.lstrip("~"): topic for topic in all_topics()}
    topic = by_name.get(rest[0]) or by_name.get(rest[0].strip("/"))
    if topic is None and rest[0].endswith("/ready"):
        topic = wire.READY
    if rest[0].strip("/") == OperateConfig().joy_topic:
        return ""  # A pedal's driver publishes on it.
    if topic is None:
        return f"there is no topic {rest[0]}"
    if "--field" in rest:
        path = rest[rest.index("--field") + 1]
        return "" if _has(topic.message_type(), path) else f"{topic.type_name} has no field {path}"
    if len(rest) <= _PUBLISHED_ONCE:
        return ""
    if topic.type_name != rest[1]:
        return f"{rest[0]} has the type {topic.type_name}, not {rest[1]}"
    return _fault_of_fields(topic.message_type(), rest[2])


def all_topics() -> Iterable[wire.Topic]:
    """Yields all topics of the graph, also those of the cameras."""
    for value in vars(wire).values():
        yield from (
            each for each in (value.values() if isinstance(value, dict) else [value]) if isinstance(each, wire.Topic)
        )
    for camera in aloha.CAMERAS:
        yield from wire.camera_images(camera, RobotConfig())


def _fault_of_fields(message: object, text: str) -> str:
    if text.count("{") != text.count("}"):
        return ""  # The document shows the beginning of a longer request.
    unknown = [name for name in _names(yaml.safe_load(text)) if not _has(message, name)]
    return f"{type(message).__name__} has no field {', '.join(unknown)}" if unknown else ""


def _names(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yields the dotted names of all fields that are given."""
    for name, value in values.items():
        yield f"{above}{name}"
        if isinstance(value, Mapping):
            yield from _names(value, f"{above}{name}.")


def _has(message: object, path: str) -> bool:
    for name in path.split("."):
        if not hasattr(message, name):
            return False
        message = getattr(message, name)
    return True


def _fault_of_launch(rest: Sequence[str], root: pathlib.Path) -> str:
    file = root / "launch" / rest[0]
    if not file.is_file():
        return f"there is no launch file {rest[0]}"
    sources = [file, *(root / "chunk_ppo_ros" / "nodes" / "launching").glob("*.py")]
    known = {name for path in sources for name in re.findall(r'Argument\(\s*"(\w+)"', path.read_text(encoding="utf-8"))}
    known |= {field.name for hint in get_type_hints(TrainConfig).values() for field in dataclasses.fields(hint)}
    given = {word.split(":=")[0] for word in rest[1:] if ":=" in word}
    return f"{rest[0]} has no argument {', '.join(sorted(given - known))}" if given - known else ""
