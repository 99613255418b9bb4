"""Tests that the commands which the program prints, and which its comments and settings name, can be called."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chunk_ppo_ros.cli.table import COMMANDS
from chunk_ppo_ros.nodes.wire import services

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from documentation.commands.checks import fault  # noqa: E402

FOLDERS = ("chunk_ppo_ros", "launch", "config", "msg", "tools", "experiments")
QUOTED = re.compile(r"`((?:chunk_ppo|ros2|make) [^`{}]*)`")
CALL = re.compile(r"ros2 service call /\w+/\w+ \w+/srv/\w+(?: '\{[^}]*\}')?")
PLACE = "\0"
"""Stands in a text for what is put in when the program runs."""
PATTERN = re.compile(rf"{PLACE}|\[|\||\b[A-Z]{{1,}}\b")
"""Is found in a command that is a pattern: with a place to fill, such as NAME, or with a choice."""


def texts(path: Path) -> Iterator[str]:
    """Yields the texts of a file: the strings of a program with `PLACE` for what is put in, and otherwise the file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield re.sub(r"\n *# ?", " ", text)
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else PLACE for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def named(text: str) -> Iterator[str]:
    """Yields the commands that a text names in full: between backquotes with enough words, and calls of services."""
    fewest = {"chunk_ppo": 3, "ros2": 4, "make": 2}
    for quoted in QUOTED.findall(text):
        words = " ".join(quoted.split()).split()
        if len(words) >= fewest[words[0]]:
            yield " ".join(words)
    yield from CALL.findall(text)


FILES = [
    path
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".yaml", ".msg", ".srv")
]


def test_every_command_that_a_program_or_a_setting_names_can_be_called() -> None:
    found = [(path, command) for path in FILES for text in texts(path) for command in named(text)]
    faults = {
        f"{path.relative_to(ROOT)}: {command}": wrong
        for path, command in found
        if not PATTERN.search(command) and (wrong := fault(command, ROOT))
    }
    assert not faults
    assert len({command for _, command in found if not PATTERN.search(command)}) > 10


def test_every_command_line_that_the_program_makes_begins_with_a_command() -> None:
    calls = [
        (path, node)
        for path in FILES
        if path.suffix == ".py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "command_line"
    ]
    first = {
        (path.name, node.args[0].value.split()[0])
        for path, node in calls
        if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
    }
    assert len(first) > 20
    assert not {(name, word) for name, word in first if word not in COMMANDS}


def test_each_service_names_a_command_that_can_be_called() -> None:
    assert [service.command for service in services.OPERATOR_SERVICES if fault(service.command, ROOT)] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("call `ros2 lifecycle set /robot_node\n activate`, or", ["ros2 lifecycle set /robot_node activate"]),
        ("`make setup`; `chunk_ppo graph`", ["make setup"]),
        ("do ros2 service call /a/b a/srv/B '{data: no}' now", ["ros2 service call /a/b a/srv/B '{data: no}'"]),
    ],
)
def test_commands_are_found_in_texts(text: str, expected: list[str]) -> None:
    assert list(named(text)) == expected
