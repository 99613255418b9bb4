"""Makes messages as they were defined at format 1, the last format without a number.

Their definitions are in `messages_of_format_1/`.
"""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

FOLDER = pathlib.Path(__file__).parent / "messages_of_format_1"


def load_old_types() -> Typestore:
    """Returns the message types of format 1 and those of ROS."""
    types = get_typestore(Stores.ROS2_JAZZY)
    for path in sorted(FOLDER.glob("*.msg")):
        types.register(get_types_from_msg(path.read_text(encoding="utf-8"), f"chunk_ppo_msgs/msg/{path.stem}"))
    return types


def old_message(types: Typestore, name: str, **fields: Any) -> bytes:
    """Returns a serialized message of format 1 with the given fields. All other fields are 0 or empty."""
    type_name = f"chunk_ppo_msgs/msg/{name}"
    return bytes(types.serialize_cdr(_blank(types, type_name, **fields), type_name))


def _blank(types: Typestore, type_name: str, **fields: Any) -> Any:
    _, described = types.fielddefs[type_name]
    blank = {field: _zero(types, kind) for field, kind in described}
    return types.types[type_name](**(blank | fields))


def _zero(types: Typestore, kind: Any) -> Any:
    node, description = kind
    if node is Nodetype.NAME:
        return _blank(types, description)
    if node is Nodetype.BASE:
        return "" if description[0] == "string" else 0
    ((element, inner), _) = description
    return np.zeros(0, inner[0]) if element is Nodetype.BASE and inner[0] != "string" else []
