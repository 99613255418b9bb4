"""Keeps an emergency stop, also over a restart of the process that keeps it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

from chunk_ppo_ros.core.atomic_file import sync_file, write_atomically


class EmergencyStop:
    """Is stopped from `stop` until `clear`. A file holds the reason while it is, so that a restart changes nothing.

    Args:
        file: the file that exists while there is an emergency stop.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._reason = _stored_reason(file)
        self._written = threading.Event()
        self._written.set()

    @property
    def reason(self) -> str:
        """The reason of the emergency stop, or an empty string where there is none."""
        return self._reason

    def stop(self, reason: str, *, on_error: Callable[[OSError], None] = lambda error: None) -> None:
        """Begins an emergency stop. An earlier one keeps its reason. A thread writes the file, so that nobody waits.

        Args:
            reason: the reason in words.
            on_error: is called in the thread where the file cannot be written. The stop holds nevertheless, until this
                process ends.
        """
        if self._reason:
            return
        self._reason = reason
        self._written.clear()
        threading.Thread(target=self._write, args=(reason, on_error), name="emergency_stop", daemon=True).start()

    def wait(self, timeout: float | None = None) -> None:
        """Waits until the file is written, but not for longer than `timeout`, s."""
        self._written.wait(timeout)

    def clear(self) -> None:
        """Ends the emergency stop, because an operator has looked at the robot.

        Raises:
            OSError: where the file cannot be removed. The stop holds then.
        """
        self.wait()  # Otherwise the file would be there again.
        self._file.unlink(missing_ok=True)
        self._reason = ""

    def _write(self, reason: str, on_error: Callable[[OSError], None]) -> None:
        """Writes the file, which another process sees at once, and then lets it survive a power cut."""
        try:
            write_atomically(self._file, lambda file: file.write(reason.encode()), durable=False)
        except OSError as error:
            on_error(error)
        finally:
            self._written.set()
        with contextlib.suppress(OSError):  # It may be cleared meanwhile.
            sync_file(self._file)


def _stored_reason(file: Path) -> str:
    """Returns the reason in a file, or an empty string where there is no file. A file that says nothing counts too."""
    try:
        return file.read_text(errors="replace") or f"{file} is there, and is empty"
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return f"whether there is one cannot be read: {error}"
