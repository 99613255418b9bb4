"""Replays power cuts in a small form, and checks the model of a disk that `make power-cut` cuts the power of."""

from __future__ import annotations

import os
import pathlib
import random
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tools"))

from power_cut import trace
from power_cut.calls import (
    Call,
    Close,
    Copy,
    MakeFolder,
    Open,
    Remove,
    Rename,
    Said,
    Seek,
    SyncBegin,
    SyncEnd,
    SyncFailed,
    Truncate,
    Write,
)
from power_cut.damage import Stored, damage
from power_cut.disk import Disk, State
from power_cut.inode import Cut
from power_cut.registry import CASES

from chunk_ppo_ros.core.errors import UserError

STRACE = pytest.mark.skipif(bool(trace.why_not()), reason=trace.why_not() or "strace is here")
NEW_FILE = Open("x", 3, creates=True, empties=True, appends=False)
FOLDER = Open("", 9, creates=False, empties=False, appends=False)


def power_cut(*arguments: str) -> str:
    """Returns what the command prints, which must end well."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "power_cut", *arguments]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def left(cut: Cut, *calls: Call, seed: int = 0) -> State:
    disk = Disk()
    for call in calls:
        disk.do(call)
    return disk.after(cut, random.Random(seed))


def synced(descriptor: int, number: int = 1) -> tuple[Call, Call]:
    return SyncBegin(descriptor, number), SyncEnd(number)


def test_what_is_synced_stays() -> None:
    calls = (NEW_FILE, Write(3, b"abc"), *synced(3), FOLDER, *synced(9))
    assert {cut: left(cut, *calls) for cut in Cut} == {cut: {"x": b"abc"} for cut in Cut}


def test_a_new_name_is_lost_without_a_sync_of_its_folder() -> None:
    calls = (NEW_FILE, Write(3, b"abc"), *synced(3))
    assert left(Cut.DROP, *calls) == {}
    assert left(Cut.NAMES, *calls) == {"x": b"abc"}


def test_content_is_lost_without_a_sync_of_its_file() -> None:
    calls = (NEW_FILE, FOLDER, *synced(9), Write(3, b"abc"))
    assert left(Cut.DROP, *calls) == {"x": b""}
    assert left(Cut.LENGTHS, *calls) == {"x": bytes(3)}
    assert left(Cut.KEEP, *calls) == {"x": b"abc"}


def test_a_sync_covers_only_what_was_before_it_began() -> None:
    calls = (NEW_FILE, FOLDER, *synced(9), Write(3, b"a"), SyncBegin(3, 7), Write(3, b"b"), SyncEnd(7))
    assert left(Cut.DROP, *calls) == {"x": b"a"}


def test_a_later_sync_does_not_help_after_one_that_failed() -> None:
    calls = (NEW_FILE, FOLDER, *synced(9), Write(3, b"a"), SyncBegin(3, 7), SyncFailed(7), Write(3, b"b"), *synced(3))
    assert left(Cut.DROP, *calls) == {"x": b"\0b"}


def test_a_renamed_file_replaces_another_whole_or_not_at_all() -> None:
    old = (Open("y", 4, True, True, False), Write(4, b"old"), *synced(4), FOLDER, *synced(9))
    calls = (*old, NEW_FILE, Write(3, b"new"), *synced(3), Rename("x", "y"))
    assert left(Cut.DROP, *calls) == {"y": b"old"}
    assert left(Cut.NAMES, *calls) == {"y": b"new"}
    states = [left(Cut.SOME, *calls, seed=seed) for seed in range(50)]
    assert {state["y"] for state in states} == {b"old", b"new"}


def test_a_folder_is_lost_with_all_that_is_in_it() -> None:
    inside = (MakeFolder("a"), Open("a/x", 3, True, True, False), Write(3, b"abc"), *synced(3))
    calls = (*inside, Open("a", 9, False, False, False), *synced(9))
    assert left(Cut.DROP, *calls) == {}
    assert left(Cut.KEEP, *calls) == {"a": None, "a/x": b"abc"}


def test_positions_lengths_and_copies_are_followed() -> None:
    first = (NEW_FILE, Write(3, b"abcdef"), Seek(3, 1), Write(3, b"X"), Write(3, b"Y", at=4), Truncate(3, 5))
    appended = (Open("x", 5, False, False, appends=True), Write(5, b"Z"), Close(5))
    copied = (Open("y", 6, True, True, False), Copy(6, 3, 2, 3))
    assert left(Cut.KEEP, *first, *appended, *copied, Said("ACK 1")) == {"x": b"aXcdYZ", "y": b"cdY"}
    assert left(Cut.KEEP, *first, Remove("x")) == {}


def test_sectors_are_lost_one_by_one() -> None:
    calls = (NEW_FILE, FOLDER, *synced(9), Write(3, b"a" * 2048))
    contents = {left(Cut.SOME, *calls, seed=seed)["x"] for seed in range(200)}
    assert {content.replace(b"a" * 512, b"1").replace(bytes(512), b"0") for content in contents if content} >= {
        b"1",
        b"01",
        b"001",
        b"1001",
        b"1111",
    }


def test_a_file_that_nobody_made_is_an_error() -> None:
    with pytest.raises(KeyError, match="no recorded call made it"):
        left(Cut.DROP, Open("x", 3, creates=False, empties=False, appends=False))


@STRACE
@pytest.mark.parametrize(
    ("name", "every"),
    [("unsynced", 3), ("store", 7), ("group", 3), ("queue", 3), ("counter", 3), ("checkpoint", 29), ("training", 61)],
)
def test_power_cuts_lose_nothing_that_was_promised(name: str, every: int) -> None:
    """The journal without a sync must lose something, or the replay would show nothing."""
    printed = power_cut("--random", "1", "--every", str(every), "--part", "replay", "--only", name)
    assert "case=" in printed
    assert ("broken=0 " not in printed) == (name == "unsynced")


@pytest.mark.parametrize(
    "kind", ["segment", "counter_file", "state_file", "checkpoint", "metadata.json", "consumed.json"]
)
def test_damage_is_never_taken_for_content(kind: str) -> None:
    """Files of each kind are cut in 20 ways, and bits in them are flipped in 20 ways."""
    assert f"stored={kind} cuts=20 flips=20 " in power_cut("--part", "damage", "--damages", "20", "--only", kind)


class Careless(Stored):
    """Reads a number that nothing checks."""

    name = "careless"

    def write(self, folder: pathlib.Path) -> None:
        (folder / "number").write_text("12345")

    def judge(self, folder: pathlib.Path) -> str:
        text = (folder / "number").read_text()
        if len(text) < 5:
            raise UserError("the number is cut off")
        return "" if text == "12345" else f"the number is {text}"


def test_damage_that_is_taken_for_content_is_counted(tmp_path: pathlib.Path) -> None:
    found = damage(Careless(), tmp_path, count=30, seed=0)
    assert str(found) == "stored=careless cuts=30 flips=30 refused=30 wrong=30"
    assert all(text.startswith("bit ") for text in found.wrong)


def test_every_case_says_what_it_is() -> None:
    assert all(case.__doc__ and case().name == name for name, case in CASES.items())
