"""Tests commands by name: which module each runs, and the statuses and lines of errors."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType

import pytest

from chunk_ppo_ros.cli.commands import run_command
from chunk_ppo_ros.core.errors import UserError

COMMANDS = {"walk": ("walking", "goes slowly"), "run_far": ("running.far", "goes quickly")}


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Makes a package with a command that ends as its first argument says, and returns the arguments of its calls."""
    calls: list[list[str]] = []

    def main(arguments: Sequence[str]) -> int:
        calls.append(list(arguments))
        if arguments[0] == "error":
            raise UserError("the disk is full; make room")
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
    arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command("legs", COMMANDS, arguments) == status
    assert capsys.readouterr().out == (
        "usage: python -m legs COMMAND [--help | flags]\n\n  walk     goes slowly\n  run_far  goes quickly\n"
    )


def test_a_command_gets_its_arguments_and_gives_its_status(
    package: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = sys.unraisablehook
    assert run_command("legs", COMMANDS, ["walk", "3", "--far"]) == 3
    assert sys.unraisablehook is not hook  # A Ctrl-C that Python drops is sent again.
    monkeypatch.setattr("sys.argv", ["python", "walk", "0"])
    assert run_command("legs", COMMANDS) == 0
    assert package == [["3", "--far"], ["0"]]


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["hop"], 2, "legs: unknown command 'hop'; commands are walk, run_far\n"),
        (["walk", "error"], 2, "legs walk: the disk is full; make room\n"),
        (["walk", "stop"], 130, "legs walk: stopped\n"),
    ],
)
def test_an_error_is_one_line(arguments: list[str], status: int, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("legs", COMMANDS, arguments) == status
    assert capsys.readouterr().err == line
