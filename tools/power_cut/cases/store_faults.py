"""The store on a disk whose calls fail now and then."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from power_cut.case import Case, say
from power_cut.cases.store import entry, open_store, store_fault

_NUM_RECORDS = 10
_TRIES = 5


class FailingDiskCase(Case):
    """Appends each record until the disk takes it, as senders repeat what is not acknowledged."""

    name = "store_on_failing_disk"
    faults = (
        ("fdatasync:error=EIO:when=3",),
        ("fdatasync:error=EIO:when=1",),
        ("writev:error=ENOSPC:when=2",),
        ("writev:error=ENOSPC:when=1", "unlink:error=EIO:when=1"),
        ("writev:error=ENOSPC:when=5+3",),
        ("fdatasync:error=EIO:when=4", "ftruncate:error=EIO:when=2"),
        ("fsync:error=EIO:when=5", "ftruncate:error=EIO:when=2", "unlink:error=EIO:when=1"),
        ("fdatasync:error=EIO:when=2+4",),
    )
    """For each process, what fails: some are about the first record, and some about taking back what was written."""
    num_sessions = len(faults)

    def write(self, folder: Path, session: int) -> None:
        """Appends records one by one, and acknowledges what is stored."""
        store, contents = open_store(folder)
        for place in contents.records:
            say(f"ACK {place.key.number}")
        number = session * _NUM_RECORDS
        while number < (session + 1) * _NUM_RECORDS:
            group = range(number, number + 2)
            for _ in range(_TRIES):
                try:
                    store.append([entry(each) for each in group])
                except OSError:
                    continue
                break
            else:
                raise RuntimeError(f"record {number} must be stored after {_TRIES} tries")
            for each in group:
                say(f"ACK {each}")
            number += len(group)

    def judge(self, folder: Path, said: Sequence[str]) -> str:
        """Opens the store, appends to it and reads it, as a process that is started anew."""
        return store_fault(folder, said)
