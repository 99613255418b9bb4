"""Tests what is on disk after writing, after a full disk, and after a crash."""

from __future__ import annotations

import subprocess
import sys

import pytest

from chunk_ppo_ros.data.journal import TransitionJournal


@pytest.fixture
def journal(tmp_path):
    return TransitionJournal(tmp_path / "journal")


def test_transitions_come_back_by_sequence_number(journal):
    for number in (10, 9, 100):  # as text, 10 < 100 < 9
        journal.add(b"message %d" % number, version=3, sequence_number=number)
    journal.add(b"other", version=4, sequence_number=11)
    assert list(journal.read(version=3).items()) == [(9, b"message 9"), (10, b"message 10"), (100, b"message 100")]
    assert journal.read(version=5) == {}


def test_files_are_where_the_documentation_says(journal, tmp_path):
    journal.add(b"message", version=3, sequence_number=7)
    assert (
        tmp_path / "journal" / "v3" / "7.cdr"
    ).read_bytes() == b"chunk_ppo_ros transition, message format 2\nmessage"


def test_removed_transitions_are_gone_and_missing_ones_are_no_error(journal):
    journal.add(b"a", version=0, sequence_number=1)
    journal.add(b"b", version=0, sequence_number=2)
    journal.remove([1, 5], version=0)
    assert journal.read(version=0) == {2: b"b"}


def test_clear_keeps_one_version(journal):
    for version in (0, 1, 2):
        journal.add(b"a", version=version, sequence_number=version)
    assert journal.clear(keep_version=1) == ["v0", "v2"]
    assert journal.read(version=1) == {1: b"a"}
    assert journal.clear() == ["v1"]
    assert journal.clear() == []


def test_a_full_disk_leaves_neither_a_transition_nor_a_rest(journal, tmp_path, monkeypatch):
    def fail(path, target):
        raise OSError(28, "No space left on device")

    journal.add(b"before", version=0, sequence_number=0)
    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="No space left"):
        journal.add(b"message", version=0, sequence_number=1)
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "journal" / "v0").iterdir()] == ["0.cdr"]


def test_a_half_written_file_of_a_killed_process_is_not_read(journal, tmp_path):
    """The process ends before it renames the file, so that the temporary file stays."""
    folder = tmp_path / "journal"
    journal.add(b"whole", version=0, sequence_number=0)
    program = (
        "import os\n"
        "from pathlib import Path\n"
        "from chunk_ppo_ros.data.journal import TransitionJournal\n"
        "Path.replace = lambda path, target: os._exit(0)\n"
        f"TransitionJournal(Path({str(folder)!r})).add(b'half', version=0, sequence_number=1)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert len(list((folder / "v0").iterdir())) == 2
    assert journal.read(version=0) == {0: b"whole"}
