"""Tests commands by name: which module each runs, and the statuses and lines of errors."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from chunk_ppo_ros import __version__
from chunk_ppo_ros.cli.commands import run_command
from chunk_ppo_ros.cli.exit_codes import EXIT_CODES
from chunk_ppo_ros.cli.overview import overview
from chunk_ppo_ros.cli.table import COMMANDS as TABLE
from chunk_ppo_ros.cli.table import Command
from chunk_ppo_ros.config.flags import FlagParser
from chunk_ppo_ros.core.errors import UserError

COMMANDS = {
    "walk": Command("walking", "goes slowly", "on foot"),
    "run_far": Command("running.far", "goes quickly", "on foot"),
    "drive": Command("driving", "goes farther", "by car", "driving:make_parser"),
}


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Makes a package with a command that ends as its first argument says, and returns the arguments of its calls."""
    calls: list[list[str]] = []

    def main(arguments: Sequence[str]) -> int:
        calls.append(list(arguments))
        if arguments[0] == "error":
            raise UserError("the disk is full; make room")
        if arguments[0] == "long":
            Path("x" * 300).stat()
        if arguments[0] == "bug":
            raise OSError("a bug")
        if arguments[0] == "stop":
            raise KeyboardInterrupt
        return int(arguments[0])

    module = ModuleType("legs.walking")
    module.main = main  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "legs", ModuleType("legs"))
    monkeypatch.setitem(sys.modules, "legs.walking", module)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    return calls


@pytest.mark.parametrize(("arguments", "status"), [([], 2), (["-h"], 0), (["--help"], 0)])
def test_the_commands_are_listed_in_columns(
    arguments: list[str], status: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run_command("legs", COMMANDS, arguments, program="go") == status
    out = capsys.readouterr().out
    assert out.startswith(
        "usage: go COMMAND [arguments and flags]\n\non foot:\n  walk     goes slowly\n  run_far  goes quickly\n\n"
        "by car:\n  drive    goes farther\n\n"
    )
    for code, text in EXIT_CODES.items():
        assert f"  {code:<3}  {text}\n" in out


def test_the_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("legs", COMMANDS, ["--version"], program="go") == 0
    assert capsys.readouterr().out == f"go {__version__}\n"


def driving(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the parser of a command whose own module is not there, so that loading it fails."""
    module = ModuleType("legs.driving")
    module.make_parser = lambda: FlagParser(prog="go drive", description="Goes.")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "legs.driving", module)


@pytest.mark.parametrize("arguments", ["drive --help", "help drive", "drive -h", "drive --help-all"])
def test_help_does_not_run_the_command(
    arguments: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    driving(monkeypatch)
    with pytest.raises(SystemExit) as end:
        run_command("legs", COMMANDS, arguments.split(), program="go")
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("usage: go drive")


def test_a_wrong_flag_does_not_run_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    driving(monkeypatch)
    with pytest.raises(SystemExit) as end:
        run_command("legs", COMMANDS, ["drive", "--far"], program="go")
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("go drive: unknown flag --far")


def test_a_command_gets_its_arguments_and_gives_its_status(
    package: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = sys.unraisablehook
    assert run_command("legs", COMMANDS, ["walk", "3", "--far"], program="go") == 3
    assert sys.unraisablehook is not hook  # A Ctrl-C that Python drops is sent again.
    monkeypatch.setattr("sys.argv", ["python", "walk", "0"])
    assert run_command("legs", COMMANDS, program="go") == 0
    assert package == [["3", "--far"], ["0"]]


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["hop"], 2, "go: unknown command 'hop'; no command is like it. go --help lists the commands.\n"),
        (["--versoin"], 2, "go: unknown flag '--versoin'; did you mean --version? go --help lists the commands.\n"),
        (["--xyz"], 2, "go: unknown flag '--xyz'; no flag is like it. go --help lists the commands.\n"),
        (["wlak"], 2, "go: unknown command 'wlak'; did you mean walk? go --help lists the commands.\n"),
        (["ru"], 2, "go: unknown command 'ru'; did you mean run_far? go --help lists the commands.\n"),
        (["walk", "error"], 2, "go walk: the disk is full; make room\n"),
        (["walk", "long"], 2, f"go walk: {'x' * 300} cannot be used: File name too long\n"),
        (["walk", "stop"], 130, "go walk: stopped\n"),
    ],
)
def test_an_error_is_one_line(arguments: list[str], status: int, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("legs", COMMANDS, arguments, program="go") == status
    assert capsys.readouterr().err == line


def test_an_error_of_the_system_that_names_no_file_keeps_its_traceback() -> None:
    with pytest.raises(OSError, match="a bug"):
        run_command("legs", COMMANDS, ["walk", "bug"], program="go")


FULL = "standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("words", ["train --help-all", "--help", "--version"])
@pytest.mark.parametrize(
    ("end", "status", "errors"),
    [("| true", "141", ""), (">&-", "0", ""), (">/dev/full", "1", FULL), (">/dev/full 2>/dev/full", "1", "")],
)
def test_an_output_that_cannot_be_written_is_no_traceback(
    words: str, end: str, status: str, errors: str, buffered: bool
) -> None:
    # What reads the pipe has ended before the program writes.
    python = f"{sys.executable} {'' if buffered else '-u '}-m chunk_ppo_ros"
    command = f"{{ sleep 1; {python} {words}; }} {end}; echo ${{PIPESTATUS[0]}} >&3"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    shell = ["bash", "-c", f"exec 3>&1; {command}"]
    done = subprocess.run(shell, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == [status]
    assert done.stderr == errors


@pytest.mark.parametrize("columns", ["10", "60", "300"])
def test_the_list_of_commands_is_as_wide_as_the_terminal(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    text = overview(TABLE, program="chunk_ppo")
    longest = max(len(line) for line in text.splitlines())
    assert longest <= {"10": 50, "60": 58, "300": 110}[columns]
    assert longest >= 45
