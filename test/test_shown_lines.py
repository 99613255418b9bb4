"""Tests how the lines of a node are shown in a terminal, and that its log keeps them whole."""

from __future__ import annotations

import os
import pathlib
import sys
import time

import pytest

from chunk_ppo_ros.runtime.process import Child
from support.patience import PATIENCE

LOGGED = "[INFO] [1795886333.005217260] "


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (f"{LOGGED}[reward_node]: episode 5 ended: [solved]", "[INFO] episode 5 ended: [solved]"),
        (f"{LOGGED}[cell_1.reward_node]: paused", "[INFO] paused"),
        ("[WARN] [1795886333.005217260] [rcl]: a file is missing", "[WARN] [rcl]: a file is missing"),
        ("1795886333.005 reward_node paused", "1795886333.005 reward_node paused"),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
    ],
    ids=["the node", "a namespace", "another logger", "a format of the user", "no logger"],
)
def test_a_terminal_shows_a_logged_line_without_what_it_shows_already(
    tmp_path: pathlib.Path, line: str, shown: str
) -> None:
    lines: list[str] = []
    log = tmp_path / "reward_node.log"
    child = Child(
        "reward_node",
        [sys.executable, "-c", f"print({line!r})"],
        environment=os.environ,
        log=log,
        output=lines.append,
        progress=lines.append,
    )
    deadline = time.monotonic() + PATIENCE
    while child.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.close()
    assert lines == [f"[reward_node] {shown}"]
    assert log.read_text() == f"{line}\n"  # It keeps the time.
