"""Tests a command whose output goes to a file: what is shown meanwhile, and the end of its output where it fails."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parent.parent / "tools"
sys.path.insert(0, str(TOOLS))

import logged_command  # noqa: E402
from logged_command import NUM_LAST, run_logged  # noqa: E402


def run(folder: Path, program: str, stream: io.StringIO, *, pulse: float = 600.0) -> int:
    command = [sys.executable, "-u", "-c", program]
    log = folder / "logs" / "pip.log"
    return run_logged(command, environ=os.environ, folder=folder, log=log, stream=stream, pulse=pulse)


def test_the_output_goes_to_the_file_and_a_success_is_quiet(tmp_path: Path) -> None:
    shown = io.StringIO()
    assert run(tmp_path, "print('Collecting jax'); import sys; print('WARNING: old', file=sys.stderr)", shown) == 0
    assert run(tmp_path, "print('Collecting flax')", shown) == 0
    assert shown.getvalue() == ""
    lines = (tmp_path / "logs" / "pip.log").read_text().splitlines()
    assert [line for line in lines if not line.startswith("$ ")] == [
        "Collecting jax",
        "WARNING: old",
        "Collecting flax",
    ]
    assert [line.startswith(f"$ {sys.executable} -u -c print(") for line in lines if line.startswith("$ ")] == [
        True
    ] * 2


def test_the_end_of_the_output_of_a_failure_is_printed(tmp_path: Path) -> None:
    shown = io.StringIO()
    assert run(tmp_path, "print('of the command before')", shown) == 0
    assert run(tmp_path, "[print('line', n) for n in range(90)]; raise SystemExit(3)", shown) == 3
    assert shown.getvalue().splitlines() == [f"    line {n}" for n in range(90 - NUM_LAST, 90)]


WAITS_FOR_ITS_LINE = """
import pathlib, time
print("Collecting jax", flush=True)
while not pathlib.Path("seen").exists():
    time.sleep(0.01)
"""
"""A program that ends when somebody has shown its line."""


class Seeing(io.StringIO):
    """Makes the file for which that program waits when its line is shown."""

    def __init__(self, folder: Path, *, is_terminal: bool) -> None:
        super().__init__()
        self._folder, self._is_terminal = folder, is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    def flush(self) -> None:
        if "Collecting jax" in self.getvalue():
            (self._folder / "seen").touch()


@pytest.mark.parametrize(("is_terminal", "first"), [(True, "\r\033[K  Collecting jax"), (False, "still at work: Col")])
def test_what_the_command_does_is_shown(
    is_terminal: bool, first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logged_command, "POLL_PERIOD", 0.01)
    shown = Seeing(tmp_path, is_terminal=is_terminal)
    assert run(tmp_path, WAITS_FOR_ITS_LINE, shown, pulse=0.0) == 0
    assert first in shown.getvalue()
    assert shown.getvalue().endswith("\r\033[K") == is_terminal
