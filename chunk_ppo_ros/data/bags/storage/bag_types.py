"""Resolves the types of messages that are read, and of no others: topics that nobody needs may have any types."""

from __future__ import annotations

import functools
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from chunk_ppo_ros.data.bags.storage.errors import ERRORS, text_of
from chunk_ppo_ros.data.bags.storage.stored import Channel, DamagedFile

_IDL_LINE = "=" * 80 + "\n"


@functools.cache
def _standard_types() -> Typestore:
    """Returns the standard types of ROS Jazzy.

    Bags of earlier versions of ROS hold no definitions, and the standard types have not changed since.
    """
    return get_typestore(Stores.ROS2_JAZZY)


@functools.lru_cache(maxsize=64)
def types_of(channel: Channel) -> Typestore:
    """Returns a store with the type of a channel and those that it contains.

    Standard types that the definition lacks are those of ROS Jazzy.

    Raises:
        DamagedFile: where the type is unknown, or its definition is damaged or has another hash than the channel says.
    """
    name = channel.type_name
    where = f"the messages of {channel.topic}"
    if channel.encoding != "cdr":
        raise DamagedFile(f"{where} must be serialized as cdr, got {channel.encoding!r}")
    try:
        parsed = _parse(channel)
        standard = _standard_types()
        store = get_typestore(Stores.EMPTY)
        _complete(parsed, name, standard)
        store.register(parsed)
        digest = store.hash_rihs01(name) if channel.digest else ""
        store.get_msgdef(name)
    except ERRORS as error:
        raise DamagedFile(f"{where} must have a type that is defined, got {name!r}: {text_of(error)}") from error
    if digest != channel.digest:
        raise DamagedFile(f"{where} must have a definition of {name} with the hash {channel.digest}, got {digest}")
    return store


def _parse(channel: Channel) -> dict[str, Any]:
    """Returns the parsed definitions of a channel by the names of their types; none where it has no definition."""
    text, form = channel.definition, channel.definition_format
    if not text:
        return {}
    if form == "ros2msg":
        return dict(get_types_from_msg(text, channel.type_name))
    if form not in ("ros2idl", "omgidl"):
        raise DamagedFile(f"a definition must be ros2msg or ros2idl, got {form!r}")
    if not text.startswith(f"{_IDL_LINE}IDL: "):
        return dict(get_types_from_idl(text))
    parsed: dict[str, Any] = {}
    for part in text.split(_IDL_LINE)[1:]:
        parsed.update(get_types_from_idl(part.split("\n", 1)[1]))
    return parsed


def _complete(parsed: dict[str, Any], name: str, standard: Typestore) -> None:
    """Adds the standard types that are needed and missing.

    Raises:
        KeyError: where a type is neither defined nor a standard one.
    """
    missing = [name]
    seen: set[str] = set()
    while missing:
        each = missing.pop()
        if each in seen:
            continue
        seen.add(each)
        if each not in parsed:
            parsed[each] = standard.fielddefs[each]
        missing += [inner for _, field in parsed[each][1] for inner in _contained(field)]


def _contained(field: Any) -> list[str]:
    """Returns the message type of a parsed field, or of its elements where it is an array or a sequence."""
    kind, description = field
    if kind in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        return _contained(description[0])
    return [description] if kind is Nodetype.NAME else []
