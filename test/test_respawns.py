"""Tests how often and how soon a node that has ended is started anew, with times that the test gives."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time
import types

import pytest

from chunk_ppo_ros.runtime.restarts import readiness
from chunk_ppo_ros.runtime.restarts.readiness import VARIABLE, UpFile, tell_up
from chunk_ppo_ros.runtime.restarts.respawns import (
    MAX_RESPAWN_DELAY,
    MAX_RESPAWNS,
    RESPAWN_DELAY,
    RESPAWNED_WELL,
    SETTLED,
    RespawnCount,
)


def live(count: RespawnCount, *, start: float, up: float | None = None, end: float) -> tuple[int, float] | None:
    """Returns the number and the delay of the next start of a node that is started, up and ended at these times, s."""
    count.note_start(start)
    respawn = count.on_end(end, up_for=None if up is None else end - up)
    return None if respawn is None else (respawn.number, respawn.delay)


def test_a_node_that_ends_at_each_start_waits_longer_each_time_and_is_given_up() -> None:
    count = RespawnCount()
    answers = [live(count, start=100.0 * each, end=100.0 * each + 20.0) for each in range(MAX_RESPAWNS + 1)]
    assert answers[:3] == [(1, RESPAWN_DELAY), (2, 2 * RESPAWN_DELAY), (3, 4 * RESPAWN_DELAY)]
    assert answers[MAX_RESPAWNS - 1 :] == [(MAX_RESPAWNS, MAX_RESPAWN_DELAY), None]


def test_ten_kills_in_83_seconds_end_no_run() -> None:
    """A person, or a test, killed one node again and again, and each time it had lived on."""
    count = RespawnCount()
    for kill in range(10):
        begun = 20.0 * kill
        assert live(count, start=begun, up=begun + 3.0, end=begun + 3.0 + SETTLED) == (1, RESPAWN_DELAY)


def test_a_node_that_was_up_for_a_moment_only_has_not_lived_on() -> None:
    count = RespawnCount()
    assert live(count, start=0.0, up=50.0, end=50.0 + SETTLED - 0.1) == (1, RESPAWN_DELAY)
    assert live(count, start=100.0, up=150.0, end=150.0 + SETTLED - 0.1) == (2, 2 * RESPAWN_DELAY)


def test_a_node_that_lived_on_is_counted_from_the_beginning() -> None:
    count = RespawnCount()
    for each in range(MAX_RESPAWNS):
        live(count, start=100.0 * each, end=100.0 * each + 1.0)
    assert live(count, start=2000.0, up=2001.0, end=2001.0 + SETTLED) == (1, RESPAWN_DELAY)
    assert live(count, start=3000.0, end=3001.0) == (2, 2 * RESPAWN_DELAY)


def test_a_node_that_never_says_that_it_is_up_lives_on_by_its_age() -> None:
    """A node that an operator activates is ready only then, and others were started by hand."""
    count = RespawnCount()
    for each in range(2 * MAX_RESPAWNS):
        assert live(count, start=1000.0 * each, end=1000.0 * each + RESPAWNED_WELL) == (1, RESPAWN_DELAY)


def test_being_up_before_an_end_does_not_count_for_the_next_start() -> None:
    count = RespawnCount()
    assert live(count, start=0.0, up=1.0, end=2.0) == (1, RESPAWN_DELAY)
    assert live(count, start=90.0, end=91.0) == (2, 2 * RESPAWN_DELAY)


def test_a_process_says_once_that_it_is_up(tmp_path: pathlib.Path) -> None:
    (tmp_path / "node.up").touch()  # An earlier process has left it.
    up = UpFile(tmp_path / "node.up")
    program = (
        "from chunk_ppo_ros.runtime.restarts.readiness import tell_up; input(); tell_up(); input(); tell_up(); input()"
    )
    environment = {**os.environ, **up.environment}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert up.up_for() is None
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        deadline = time.monotonic() + 60.0
        while up.up_for() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        (tmp_path / "node.up").write_text("-1e9")
        process.communicate("\n\n", timeout=60)
    assert process.returncode == 0
    assert (up.up_for() or 0.0) > 1e9  # The second call has not touched the file.
    up.remove()
    assert up.up_for() is None and not list(tmp_path.iterdir())


@pytest.mark.parametrize("set_by", [-18_000.0, 0.0, 18_000.0])
def test_how_long_a_process_is_up_does_not_depend_on_the_clock_of_the_machine(
    set_by: float, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    up = UpFile(tmp_path / "node.up")
    monkeypatch.setenv(VARIABLE, up.environment[VARIABLE])
    tell_up()
    steady, clock = time.monotonic() + 20.0, time.time() + 20.0 + set_by
    monkeypatch.setattr(readiness, "time", types.SimpleNamespace(monotonic=lambda: steady, time=lambda: clock))
    assert 20.0 <= (up.up_for() or 0.0) < 1000.0


def test_a_file_without_a_time_says_nothing_yet(tmp_path: pathlib.Path) -> None:
    up = UpFile(tmp_path / "node.up")
    (tmp_path / "node.up").touch()  # The process is about to write it, or the disk is full.
    assert up.up_for() is None


def test_a_node_on_a_disk_that_takes_no_file_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/proc/no such folder/node.up")
    tell_up()
    assert VARIABLE not in os.environ


def test_nobody_is_told_where_nobody_waits() -> None:
    assert VARIABLE not in os.environ
    tell_up()
