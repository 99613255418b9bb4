"""The kinds of stored files that are damaged at random."""

from __future__ import annotations

import contextlib
from pathlib import Path

from chunk_ppo_ros.core.counter_file import CounterFile
from chunk_ppo_ros.core.files.checked_json import read_checked_json, write_checked_json
from chunk_ppo_ros.data.store import Contents, Entry, Store, read_payload, read_store
from power_cut.case import payload
from power_cut.cases.checkpoint import consumed, read_fault, save
from power_cut.damage import Stored

_NUM_RECORDS = 60
_SEGMENT_BYTES = 6000
_LONGEST_HEADER = 300  # bytes, of the segments here
_VERSION = 3
_STATE = {"run_id": "run", "counts": [{"prompt": "reach", "ended": 12}], "times": {"acting": 1.25, "waiting": 1e-3}}


class SegmentFiles(Stored):
    """Segments of a store, of which the last one may end too early, and others have holes."""

    name = "segment"

    def write(self, folder: Path) -> None:
        """Writes a store of several segments."""
        with contextlib.closing(
            Store(folder / "store", name="case", run_id="run", segment_bytes=_SEGMENT_BYTES)
        ) as store:
            store.open()
            for number in range(_NUM_RECORDS):
                store.append([_entry(number)])

    def files(self, folder: Path) -> list[Path]:
        """Returns the segments. The lock holds nothing that counts."""
        return sorted(folder.rglob("*.log"))

    def judge(self, folder: Path) -> str:
        """Goes on with the store, and compares each record, and what the holes say with what is missing."""
        with contextlib.closing(Store(folder / "store", name="case", run_id="run")) as store:
            contents = store.open()
            store.append([_entry(_NUM_RECORDS)])
        found = {place.index: place for place in contents.records}
        wrong = [index for index, place in found.items() if read_payload(place) != payload(index)]
        named = {index for hole in contents.holes for index in hole.missing}
        missing = set(range(_NUM_RECORDS)) - found.keys() - named
        prefix = set(range(min(missing, default=_NUM_RECORDS), _NUM_RECORDS))
        again = {place.key.number: place for place in read_store(store.folder).records}
        faults = {
            f"wrong content of {wrong}": bool(wrong),
            f"{sorted(missing)} are missing without a hole": bool(missing) and missing != prefix - named,
            f"{sorted(missing)} are missing, and nothing says so": bool(missing)
            and not contents.unfinished
            and not _ends_between_records(contents),
            f"{sorted(named & found.keys())} are named as lost, but they are there": bool(named & found.keys()),
            "the record that was appended after the damage is not read": _NUM_RECORDS not in again,
            "records are lost by going on": not {place.key.number for place in found.values()} <= again.keys(),
        }
        return ", ".join(text for text, holds in faults.items() if holds)


class CounterFiles(Stored):
    """The file of a counter, whose number must be right or refused."""

    name = "counter_file"

    def write(self, folder: Path) -> None:
        """Writes a number."""
        _counter(folder).write("run", 12_345)

    def judge(self, folder: Path) -> str:
        """Reads the number. A file of another run counts from 0 on, so its run must not be damaged either."""
        found = _counter(folder).read("run")
        return "" if found == 12_345 else f"the number is {found}"


class StateFiles(Stored):
    """A JSON file with a checksum, as the counts of a run and the settings of a deployment have."""

    name = "state_file"

    def write(self, folder: Path) -> None:
        """Writes counts, times and settings."""
        write_checked_json(folder / "state.json", _STATE, indent=2)

    def judge(self, folder: Path) -> str:
        """Reads the file."""
        found = read_checked_json(folder / "state.json")
        return "" if _STATE.items() <= found.items() else f"the state is {found}"


class CheckpointFiles(Stored):
    """All files of a checkpoint: arrays, assets and JSON."""

    name = "checkpoint"

    def write(self, folder: Path) -> None:
        """Saves a checkpoint."""
        save(folder, _VERSION)

    def judge(self, folder: Path) -> str:
        """Reads the checkpoint as a resumed run does."""
        return read_fault(folder / f"step_{_VERSION}", _VERSION)


class MetadataFiles(CheckpointFiles):
    """The file metadata.json of a checkpoint."""

    name = "metadata.json"

    def files(self, folder: Path) -> list[Path]:
        """Returns the one file."""
        return sorted(folder.rglob(self.name))

    def judge(self, folder: Path) -> str:
        """Reads the counters and the settings."""
        from chunk_ppo_ros.model.checkpoints.metadata import read_metadata

        metadata, _ = read_metadata(folder / f"step_{_VERSION}" / "metadata.json")
        return "" if metadata.counters.policy_version == _VERSION else f"the counters are {metadata.counters}"


class ConsumedFiles(MetadataFiles):
    """The file consumed.json of a checkpoint."""

    name = "consumed.json"

    def judge(self, folder: Path) -> str:
        """Reads which chunks were trained on."""
        from chunk_ppo_ros.model.checkpoints.consumed_file import read_consumed

        found = read_consumed(folder / f"step_{_VERSION}")
        return "" if found == consumed(_VERSION) else f"consumed is {found}"


def _ends_between_records(contents: Contents) -> bool:
    """Returns whether the newest segment was cut exactly after a record or its header, which leaves no trace."""
    newest = contents.segments[-1]
    ends = [place.end for place in contents.records if place.segment == newest.path]
    return newest.num_bytes == ends[-1] if ends else newest.num_bytes < _LONGEST_HEADER


def _counter(folder: Path) -> CounterFile:
    return CounterFile(folder / "next.json", "next", without="numbers begin at 0")


def _entry(number: int) -> Entry:
    return Entry(1, "robot_0", number, payload(number))


STORED = (SegmentFiles, CounterFiles, StateFiles, CheckpointFiles, MetadataFiles, ConsumedFiles)
