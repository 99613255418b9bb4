"""Keeps an emergency stop, also over a restart of the process that keeps it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from chunk_ppo_ros.core.atomic_file import sync_in_background, write_atomically


class EmergencyStop:
    """Is stopped from `stop` until `clear`. A file holds the reason while it is, so that a restart changes nothing.

    Args:
        file: the file that exists while there is an emergency stop.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._reason = _stored_reason(file)

    @property
    def reason(self) -> str:
        """The reason of the emergency stop, or an empty string where there is none."""
        return self._reason

    def stop(self, reason: str, *, first: Callable[[], object] = lambda: None) -> None:
        """Begins an emergency stop. An earlier one keeps its reason.

        Args:
            reason: the reason in words.
            first: is called before the file is written, which may take a while, so that the robot stops at once. Nobody
                waits until the file survives a power cut.

        Raises:
            OSError: where the file cannot be written. The stop holds nevertheless, until this process ends.
        """
        if self._reason:
            return
        self._reason = reason
        first()
        write_atomically(self._file, lambda file: file.write(reason.encode()), durable=False)
        sync_in_background(self._file)

    def clear(self) -> None:
        """Ends the emergency stop, because an operator has looked at the robot.

        Raises:
            OSError: where the file cannot be removed. The stop holds then.
        """
        self._file.unlink(missing_ok=True)
        self._reason = ""


def _stored_reason(file: Path) -> str:
    """Returns the reason in a file, or an empty string where there is no file. A file that says nothing counts too."""
    try:
        return file.read_text(errors="replace") or f"{file} is there, and is empty"
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return f"whether there is one cannot be read: {error}"
