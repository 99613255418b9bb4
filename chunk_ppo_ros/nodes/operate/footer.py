"""Writes which keys make sense now."""

from __future__ import annotations

from chunk_ppo_ros.nodes.operate.actions.keys import HELP_KEY, LIST_KEY, QUIT_KEY, key_table, shown_key
from chunk_ppo_ros.nodes.operate.actions.table import ACTIONS
from chunk_ppo_ros.nodes.operate.picture import Picture

ALWAYS = (("SPACE", "EMERGENCY STOP"), (shown_key(HELP_KEY), "all keys"), (LIST_KEY, "warnings"), (QUIT_KEY, "leave"))
GAP = "   "


def offered_keys(picture: Picture) -> list[tuple[str, str]]:
    """Returns the keys that make sense now, each with a word or two."""
    return [(shown_key(action.key), action.label(picture)) for action in ACTIONS if action.offered(picture)]


def footer_lines(picture: Picture, width: int) -> list[str]:
    """Returns the keys that make sense now, and in the last line those that always work."""
    lines = _wrapped(offered_keys(picture), width) if picture.nodes else []
    return [*lines, GAP.join(f"{key} {label}" for key, label in ALWAYS)]


def _wrapped(keys: list[tuple[str, str]], width: int) -> list[str]:
    lines: list[str] = []
    for key, label in keys:
        text = f"{key} {label}"
        if lines and len(lines[-1]) + len(GAP) + len(text) <= width:
            lines[-1] += GAP + text
        else:
            lines.append(text)
    return lines


def help_lines() -> list[str]:
    """Returns all keys, one in a line."""
    entries = key_table()
    width = max(len(entry.shown) for entry in entries)
    lines = ["All keys. They work while this is shown, and also where the last lines do not offer them.", ""]
    lines += [f"{entry.shown:<{width}}  {entry.does}{' (asks first)' if entry.asks else ''}" for entry in entries]
    return [*lines, "", "Where a question is asked, Enter is yes and any other key is no. A held key counts once."]
