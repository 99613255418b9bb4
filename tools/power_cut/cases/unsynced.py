"""The journal without a sync, which loses what it has acknowledged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from power_cut.case import Case, differences, numbers, payload, say
from power_cut.unsynced_journal import UnsyncedJournal

_NUM_RECORDS = 12


class UnsyncedCase(Case):
    """Acknowledges transitions that no sync has made sure."""

    name = "unsynced_journal"
    must_fail = True

    def write(self, folder: Path, session: int) -> None:
        """Adds messages, and acknowledges each."""
        journal = UnsyncedJournal(folder / "journal")
        for number in range(_NUM_RECORDS):
            journal.add(payload(number), version=0, sequence_number=number)
            say(f"ACK {number}")

    def judge(self, folder: Path, said: Sequence[str]) -> str:
        """Reads the journal as its next process does."""
        return differences(UnsyncedJournal(folder / "journal").read(version=0), numbers(said, "ACK"))
