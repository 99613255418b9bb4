"""Conditions say what is wrong in a node. Each is logged once when it begins and once when it is over.

The conditions themselves are listed in `condition_table.py` and `sensors/sensor_conditions.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node

DIAGNOSTICS_PERIOD = 1.0
"""The time between two messages of a node on `/diagnostics`, s of the steady clock."""


@dataclasses.dataclass(frozen=True)
class Condition:
    """One kind of condition. Its texts are filled in, as by `str.format`, with the values that it is raised with.

    Attributes:
        key: the subject of the condition. Two conditions that are raised at the same time have different keys.
        text: what is wrong and what to do.
        cleared: the text that is logged when the condition is over.
        is_error: whether the condition is an error rather than a warning.
        renewed_by: the names of the values whose change is logged again before the condition is cleared. The text may
            hold other values, such as seconds, that change all the time.
    """

    key: str
    text: str
    cleared: str
    is_error: bool = False
    renewed_by: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Standing:
    """A condition that is raised and not cleared yet."""

    text: str
    is_error: bool
    renewed_by: tuple[object, ...]


class Conditions:
    """The conditions of one node that are raised and not cleared yet.

    Args:
        node: the node, whose logger is used.
        on_change: is called after a condition was logged, for example to publish diagnostics.
    """

    def __init__(self, node: Node, *, on_change: Callable[[], None] = lambda: None) -> None:
        self._logger = node.get_logger()
        self._on_change = on_change
        self._standing: dict[str, _Standing] = {}

    @property
    def texts(self) -> list[str]:
        """The texts of the conditions that are not cleared, in the order in which they were raised."""
        return [standing.text for standing in self._standing.values()]

    @property
    def level(self) -> bytes:
        """The level of the worst condition that is not cleared, as DiagnosticStatus.msg defines levels."""
        if any(standing.is_error for standing in self._standing.values()):
            return DiagnosticStatus.ERROR
        return DiagnosticStatus.WARN if self._standing else DiagnosticStatus.OK

    def raise_condition(self, condition: Condition, **values: Hashable) -> None:
        """Raises a condition. It is logged if it is new, or if a value in `renewed_by` has changed.

        Args:
            condition: an entry of the table of conditions.
            values: the values that its texts and its `renewed_by` name.
        """
        key, text = condition.key.format(**values), condition.text.format(**values)
        known = self._standing.get(key)
        renewed_by = tuple(values[name] for name in condition.renewed_by)
        self._standing[key] = _Standing(text, condition.is_error, renewed_by)
        if known is not None and known.renewed_by == renewed_by:
            return
        if condition.is_error:  # rclpy refuses two severities from one line
            self._logger.error(text)
        else:
            self._logger.warning(text)
        self._on_change()

    def clear_condition(self, condition: Condition, **values: Hashable) -> None:
        """Clears a condition. This is logged if it was raised before.

        Args:
            condition: an entry of the table of conditions.
            values: the values that its key and its text `cleared` name.
        """
        if not self._standing:
            return  # This is so at nearly every message, and a key costs more than the question.
        if self._standing.pop(condition.key.format(**values), None) is not None:
            self._logger.info(condition.cleared.format(**values))
            self._on_change()

    def forget(self) -> None:
        """Forgets all conditions without logging, because the node begins anew."""
        self._standing.clear()
