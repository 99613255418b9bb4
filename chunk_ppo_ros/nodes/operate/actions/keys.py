"""The keys of the operator's screen: what each does, how it is written, and which action it has."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.nodes.operate.actions.table import ACTIONS, EMERGENCY_STOP, Action

STOP_KEYS = ("space", "escape")
HELP_KEY, LIST_KEY, QUIT_KEY = "question_mark", "w", "q"
CONFIRM_KEY = "enter"
KEY_NAMES = {"question_mark": "?", "escape": "Esc", "space": "SPACE", "enter": "Enter"}
"""What is written for keys whose name is no letter."""


@dataclasses.dataclass(frozen=True)
class KeyEntry:
    """A key and what it does, for the help and the documents."""

    keys: tuple[str, ...]
    name: str
    does: str
    asks: bool = False

    @property
    def shown(self) -> str:
        """The keys as they are written."""
        return " or ".join(shown_key(key) for key in self.keys)


def shown_key(key: str) -> str:
    """Returns a key as it is written."""
    return KEY_NAMES.get(key, key)


def key_table() -> tuple[KeyEntry, ...]:
    """Returns every key of the screen, the emergency stop first."""
    return (
        KeyEntry(STOP_KEYS, EMERGENCY_STOP, "EMERGENCY STOP: the robot brakes and holds, at once, from every view"),
        *(KeyEntry((action.key,), action.name, action.does, bool(action.question)) for action in ACTIONS),
        KeyEntry((LIST_KEY,), "", "show all warnings and all calls in full, or hide them"),
        KeyEntry((HELP_KEY,), "", "show all keys, or hide them"),
        KeyEntry((QUIT_KEY, "ctrl+c"), "", "leave the screen; the graph goes on as it is"),
    )


def action_of_key(key: str) -> Action | None:
    """Returns the action of a key, or None where it has none."""
    return next((action for action in ACTIONS if action.key == key), None)
