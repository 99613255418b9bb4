"""Holds sets of chunks by sender and sequence number, as ranges, so that a set stays small in a long run."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping

ChunkKey = tuple[str, int]
"""The type of the identity of a chunk within its run, which is its sender and sequence number."""

Range = tuple[int, int]
"""The type of a range of sequence numbers, which is its first and its last number."""


@dataclasses.dataclass(frozen=True)
class ChunkRanges:
    """A set of chunks. Most numbers of a sender are in it, so that it has few ranges.

    Attributes:
        by_sender: the ranges of each sender in ascending order. They do not touch each other.
    """

    by_sender: Mapping[str, tuple[Range, ...]] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, chunks: Iterable[ChunkKey]) -> ChunkRanges:
        """Returns the set of these chunks."""
        return cls().union(chunks)

    def __contains__(self, chunk: ChunkKey) -> bool:
        sender, number = chunk
        ranges = self.by_sender.get(sender, ())
        place = bisect.bisect_right(ranges, number, key=lambda one: one[0]) - 1
        return place >= 0 and number <= ranges[place][1]

    def __len__(self) -> int:
        return sum(last - first + 1 for ranges in self.by_sender.values() for first, last in ranges)

    def __iter__(self) -> Iterator[ChunkKey]:
        for sender in sorted(self.by_sender):
            for first, last in self.by_sender[sender]:
                yield from ((sender, number) for number in range(first, last + 1))

    def highest(self, sender: str) -> int | None:
        """Returns the highest sequence number of a sender, which is its high-water mark, or None without any."""
        ranges = self.by_sender.get(sender)
        return ranges[-1][1] if ranges else None

    def union(self, chunks: Iterable[ChunkKey]) -> ChunkRanges:
        """Returns the set with more chunks in it."""
        added: dict[str, list[Range]] = {}
        for sender, number in chunks:
            added.setdefault(sender, []).append((number, number))
        changed = {sender: _joined([*self.by_sender.get(sender, ()), *ranges]) for sender, ranges in added.items()}
        return ChunkRanges({**self.by_sender, **changed})

    def to_json(self) -> dict[str, list[list[int]]]:
        """Returns the set as JSON: for each sender a list of [first, last]."""
        return {sender: [list(one) for one in self.by_sender[sender]] for sender in sorted(self.by_sender)}

    @classmethod
    def of_json(cls, content: object) -> ChunkRanges:
        """Returns the set that `to_json` wrote.

        Raises:
            ValueError: when the content is not of that form.
        """
        if not isinstance(content, dict):
            raise ValueError(f"chunks must be an object of senders, got {content!r}")
        return cls({str(sender): _parsed(sender, ranges) for sender, ranges in content.items()})


NO_CHUNKS = ChunkRanges()
"""The empty set."""


def _joined(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Returns the ranges in ascending order, with those made one that touch each other."""
    joined: list[Range] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)


def _parsed(sender: object, ranges: object) -> tuple[Range, ...]:
    if not isinstance(ranges, list):
        raise ValueError(f"the chunks of {sender} must be a list of ranges, got {ranges!r}")
    parsed = tuple(checked_range(one) for one in ranges)
    if any(later[0] <= earlier[1] + 1 for earlier, later in itertools.pairwise(parsed)):
        raise ValueError(f"the ranges of {sender} must ascend and not touch each other, got {ranges!r}")
    return parsed


def checked_range(content: object) -> Range:
    """Returns the range of a JSON list [first, last].

    Raises:
        ValueError: when the content is no such list.
    """
    match content:
        case [int(first), int(last)] if 0 <= first <= last:
            return first, last
    raise ValueError(f"a range must be two whole numbers that ascend, got {content!r}")
