"""Knows where the journal has each transition of a run, and which of them no update takes."""

from __future__ import annotations

from chunk_ppo_ros.core.consumption.chunk_ranges import ChunkKey
from chunk_ppo_ros.data.store import Contents, RecordPlace

TRANSITION, LEFT_OUT, DISCARDED = 1, 2, 3
"""The kinds of records: a serialized transition; a mark that no update takes a transition, with the reason as JSON; and
a mark that an episode is discarded, whose number is the number of the episode."""


class JournalIndex:
    """What the journal holds of one run.

    Attributes:
        places: where each transition is. The first one of a number counts.
        newest: the highest number of a transition of each sender.
        left_out: the transitions that no update takes.
        discarded: the discarded episodes, by sender and number.
    """

    def __init__(self) -> None:
        self.places: dict[ChunkKey, RecordPlace] = {}
        self.newest: dict[str, int] = {}
        self.left_out: set[ChunkKey] = set()
        self.discarded: set[tuple[str, int]] = set()

    @classmethod
    def of(cls, contents: Contents, run_id: str) -> JournalIndex:
        """Returns the index of the records of a run.

        Where the header of a file is damaged, its records count too, after all others. A transition of another run
        among them is recognized when it is read.
        """
        index = cls()
        of_run = [place for place in contents.records if place.may_be_of(run_id)]
        for place in sorted(of_run, key=lambda place: place.run_id != run_id):
            index.add(place)
        return index

    def add(self, place: RecordPlace) -> None:
        """Takes note of a record."""
        key = place.key.sender, place.key.number
        if place.key.kind == TRANSITION:
            self.places.setdefault(key, place)
            self.newest[key[0]] = max(key[1], self.newest.get(key[0], 0))
        elif place.key.kind == LEFT_OUT:
            self.left_out.add(key)
        elif place.key.kind == DISCARDED:
            self.discarded.add(key)
