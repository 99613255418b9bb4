"""Tests that pages are complete: each flag and finding of recordings, and each command, has its place."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from chunk_ppo_ros.__main__ import COMMANDS
from chunk_ppo_ros.config import RecordingsConfig, TrainConfig
from chunk_ppo_ros.data.checks.check_table import KEYS, check_insisted

ROOT = Path(__file__).resolve().parent.parent
CHECKS = [
    *(ROOT / "chunk_ppo_ros/data/checks").glob("*.py"),
    *(ROOT / "chunk_ppo_ros/imitation/inspection").glob("*.py"),
]
BY_FUNCTION = {"ask": {"ask"}, "hint": {"hint"}, "refuse": {"refuse"}, "fine": set()}
OF_SETTINGS = {"arm_order", "channel_order", "joint_names", "arm_names"}
"""The keys of `--insist` that belong to a setting or to names, and not to a finding."""


def rows(first: str) -> Iterator[list[str]]:
    """Yields the cells of each row of the table whose first heading is given."""
    lines = iter((ROOT / "docs/recordings.md").read_text(encoding="utf-8").splitlines())
    assert any(line.startswith(f"| {first} |") for line in lines), f"no table of {first}"
    next(lines)
    for line in lines:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split("|")]


def texts(node: ast.expr, scope: ast.FunctionDef) -> list[str]:
    """Returns the texts that an expression of a key can be. A field of an f-string is the state or the action."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        rest = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
        return [f"{what}{rest}" for what in ("state", "action")]
    assigned = [each.value for each in ast.walk(scope) if isinstance(each, ast.Assign) and is_to(each, node)]
    return [text for value in assigned for text in texts(value, scope)]


def is_to(assignment: ast.Assign, name: ast.expr) -> bool:
    return isinstance(name, ast.Name) and any(
        isinstance(target, ast.Name) and target.id == name.id for target in assignment.targets
    )


def verdicts(call: ast.Call, function: str) -> set[str]:
    """Returns the open verdicts that a call can give."""
    if function != "blocking":
        return BY_FUNCTION[function]
    given = call.args[1]
    return {given.attr.lower()} if isinstance(given, ast.Attribute) else {"ask", "refuse"}


def findings_of_code() -> dict[str, set[str]]:
    """Returns the open verdicts of each key that the checks give."""
    found: dict[str, set[str]] = {}
    for path in CHECKS:
        for scope in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for call in ast.walk(scope) if isinstance(scope, ast.FunctionDef) else ():
                if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                    continue
                if call.func.id in {*BY_FUNCTION, "blocking"}:
                    for key in texts(call.args[0], scope):
                        found.setdefault(key, set()).update(verdicts(call, call.func.id))
    return found


def test_the_page_has_every_finding_with_its_verdicts() -> None:
    page = {
        key: set(verdict.split(", ")) - {"fine"}
        for keys, verdict, *_ in rows("finding")
        for key in re.findall(r"`(\w+)`", keys)
    }
    assert page == findings_of_code()


def test_the_page_says_which_findings_can_be_accepted() -> None:
    accepted = {key for keys, *_, insist in rows("finding") if insist == "yes" for key in re.findall(r"`(\w+)`", keys)}
    assert accepted == set(KEYS) - OF_SETTINGS


def test_flags_that_settle_findings_are_settings() -> None:
    config = TrainConfig()
    known = {
        field.name
        for section in dataclasses.fields(config)
        for field in dataclasses.fields(getattr(config, section.name))
    }
    named = {flag for _, _, _, settled, _ in rows("finding") for flag in re.findall(r"`--(\w+)", settled)}
    assert named <= known


def test_the_page_has_every_flag_of_recordings() -> None:
    page = {re.findall(r"`--(\w+)", flag)[0] for flag, *_ in rows("flag")}
    assert page == {field.name for field in dataclasses.fields(RecordingsConfig)}


@pytest.mark.parametrize("key", sorted(OF_SETTINGS))
def test_keys_that_belong_to_no_finding_are_accepted(key: str) -> None:
    check_insisted(TrainConfig(recordings=RecordingsConfig(insist=(key,))))


def test_the_page_of_commands_has_every_command() -> None:
    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    missing = [name for name in COMMANDS if not re.search(rf"(chunk_ppo|chunk_ppo_ros|make) {re.escape(name)}\s", text)]
    assert not missing
