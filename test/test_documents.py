"""Tests that documents and docstrings name files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (
    "chunk_ppo_ros",
    "config",
    "docs",
    "examples",
    "experiments",
    "launch",
    "msg",
    "requirements",
    "test",
    "tools",
)
NAMED = re.compile(r"(?<![\w/.*<~-])((?:[\w.-]+/)*[\w-]+\.(?:py|yaml|sh))\b")
NOT_OURS = {"metadata.yaml", "my_reward.py", "my_robot.yaml", "params.yaml", "p.yaml", "tokenizer.py", "xs_sdk_sim.py"}
NOT_OURS |= {"runs/g/params.yaml", "runs/mine/params.yaml"}
"""These files are written by programs or by the reader, belong to a bag, or are of openpi or of Interbotix."""

TEXTS = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/*.md"),
    *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")),
]


def files() -> set[str]:
    """Returns the paths of the files that may be named, relative to the root."""
    found = {
        path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".yaml", ".sh")
    }
    return {str(path.relative_to(ROOT)) for path in [*found, *ROOT.glob("*.py")]}


@pytest.fixture(scope="module")
def endings() -> set[str]:
    """Returns every ending of a path that names a file, the whole path and the name alone among them."""
    return {"/".join(path.split("/")[start:]) for path in files() for start in range(path.count("/") + 1)}


def prose(path: Path) -> str:
    """Returns what a reader reads: a document, or the comments and docstrings of a module."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    return "\n".join([*re.findall(r'"""(.*?)"""', text, re.DOTALL), *re.findall(r"#(.*)", text)])


def test_files_that_are_named_are_there(endings: set[str]) -> None:
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in TEXTS
        for name in NAMED.findall(prose(path))
        if name.removeprefix("../") not in endings and name not in NOT_OURS
    }
    assert not wrong, "\n".join(sorted(wrong))
