"""Checks that a message has the layout that this version of the package reads and writes."""

from __future__ import annotations

from typing import Protocol


class _Format(Protocol):
    @property
    def version(self) -> int: ...
    @property
    def VERSION(self) -> int: ...  # noqa: N802 - rosidl generates constants of messages under their own names.


class Formatted(Protocol):
    """A message that holds a `MessageFormat`."""

    @property
    def format(self) -> _Format: ...


def check_format(message: Formatted) -> None:
    """Refuses a message of another layout, because its fields may have another meaning.

    Raises:
        ValueError: when the message has another format version.
    """
    if message.format.version != message.format.VERSION:
        raise ValueError(
            f"format.version must be {message.format.VERSION}, got {message.format.version}; build all nodes from one "
            "version of this package"
        )
