"""Finds the actions that command lines in the texts of nodes ask for, and writes their keys instead."""

from __future__ import annotations

import re

from chunk_ppo_ros.config.flags.service_calls import SERVICE_CALL
from chunk_ppo_ros.nodes.operate.actions.keys import shown_key
from chunk_ppo_ros.nodes.operate.actions.table import ACTIONS, Action
from chunk_ppo_ros.nodes.wire.services import Service

_COMMAND_LINE = re.compile(f"(?:call )?{SERVICE_CALL.pattern}")


def action_of_command(text: str) -> Action | None:
    """Returns the action that does what a command line or a sentence asks for, or None where no key does it.

    Several actions call one service, as those that end an episode do. Then the request in the text decides, and where
    it has none, the first of them is meant.
    """
    words = {"/".join(word.split("/")[-2:]) for word in re.findall(r"[\w/]+", text)}  # without the namespace
    found = [action for action in ACTIONS if action.service.path in words or _is_named(action.service, words)]
    asked = [action for action in found if action.fixed and all(_asks(text, *field) for field in action.fixed.items())]
    return next(iter(asked or found), None)


def with_keys(text: str) -> str:
    """Returns a text in which each command line that a key replaces is written as that key."""

    def key_of(found: re.Match[str]) -> str:
        action = action_of_command(found[0])
        return found[0] if action is None else f"press {shown_key(action.key)}"

    return _COMMAND_LINE.sub(key_of, text)


def _is_named(service: Service, words: set[str]) -> bool:
    """Returns whether a service is named without its node. A name such as pause may be any word."""
    return "_" in service.name and service.name in words


def _asks(text: str, name: str, value: object) -> bool:
    return f"{name}: {str(value).lower()}" in text
