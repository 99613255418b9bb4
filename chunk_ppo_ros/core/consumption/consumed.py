"""Records the chunks that a run has trained on, with the manifest of each update: which chunks it took, in order.

Each checkpoint holds this record beside the weights that it belongs to. So after any interruption exactly those chunks
count as trained on whose effect is in the weights, and every update can be made again from the stored transitions.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence

from chunk_ppo_ros.core.consumption.chunk_ranges import NO_CHUNKS, ChunkKey, ChunkRanges, checked_range
from chunk_ppo_ros.core.types import DEFAULT_SENDER


@dataclasses.dataclass(frozen=True)
class UpdateManifest:
    """The chunks of one update.

    Attributes:
        chunks: the chunks in the order in which the update took them.
        num_processors: the number of processors that the process might use, because the last bits of the weights
            depend on it; 0 where it is not known.
    """

    chunks: tuple[ChunkKey, ...]
    num_processors: int = 0

    def to_json(self) -> dict[str, object]:
        """Returns the manifest as JSON, with each run of numbers that follow each other as [sender, first, last]."""
        return {"num_processors": self.num_processors, "chunks": [list(one) for one in _runs(self.chunks)]}

    @classmethod
    def of_json(cls, content: object) -> UpdateManifest:
        """Returns the manifest that `to_json` wrote.

        Raises:
            ValueError: when the content is not of that form.
        """
        match content:
            case {"num_processors": int(num_processors), "chunks": list(runs)}:
                chunks = tuple(chunk for run in runs for chunk in _chunks_of(run))
                return cls(chunks, num_processors)
        raise ValueError(f"the manifest of an update must have num_processors and chunks, got {content!r}")


@dataclasses.dataclass(frozen=True)
class Consumed:
    """The chunks that a run has trained on.

    Attributes:
        chunks: all chunks of all updates.
        updates: the manifest of each update, by the policy version that it made.
    """

    chunks: ChunkRanges = NO_CHUNKS
    updates: Mapping[int, UpdateManifest] = dataclasses.field(default_factory=dict)

    @classmethod
    def of_earlier_release(cls, next_sequence_number: int) -> Consumed:
        """Returns the record for a checkpoint without one, whose run has used all numbers below this one.

        Earlier releases trained on the chunks of one version only and dropped the others, so that none of them waits.
        """
        last = next_sequence_number - 1
        return cls(ChunkRanges({DEFAULT_SENDER: ((0, last),)} if last >= 0 else {}))

    @property
    def newest_update(self) -> tuple[ChunkKey, ...]:
        """The chunks of the newest update in their order; none where no update has a manifest."""
        return self.updates[max(self.updates)].chunks if self.updates else ()

    def taken_after(self, version: int) -> tuple[ChunkKey, ...]:
        """Returns the chunks of the updates that followed a policy version, as far as they have a manifest."""
        later = (manifest.chunks for made, manifest in self.updates.items() if made > version)
        return tuple(itertools.chain.from_iterable(later))

    def after(self, version: int, chunks: Iterable[ChunkKey], *, num_processors: int = 0) -> Consumed:
        """Returns the record after an update.

        Args:
            version: the policy version that the update made.
            chunks: its chunks in order.
            num_processors: the number of processors that its process might use.
        """
        manifest = UpdateManifest(tuple(chunks), num_processors)
        return Consumed(self.chunks.union(manifest.chunks), {**self.updates, version: manifest})

    def to_json(self) -> dict[str, object]:
        """Returns the record as JSON."""
        updates = {str(version): self.updates[version].to_json() for version in sorted(self.updates)}
        return {"consumed": self.chunks.to_json(), "updates": updates}

    @classmethod
    def of_json(cls, content: Mapping[str, object]) -> Consumed:
        """Returns the record that `to_json` wrote.

        Raises:
            ValueError: when the content is not of that form.
        """
        updates = content.get("updates")
        if not isinstance(updates, dict) or not all(str(version).isdecimal() for version in updates):
            raise ValueError(f"updates must be an object of policy versions, got {updates!r}")
        manifests = {int(version): UpdateManifest.of_json(manifest) for version, manifest in updates.items()}
        return cls(ChunkRanges.of_json(content.get("consumed")), manifests)


NOTHING_CONSUMED = Consumed()
"""The record of a run that has made no update."""


def _runs(chunks: Sequence[ChunkKey]) -> list[tuple[str, int, int]]:
    """Returns the chunks in their order as (sender, first number, last number)."""
    grouped = itertools.groupby(enumerate(chunks), key=lambda entry: (entry[1][0], entry[1][1] - entry[0]))
    members = [[chunk for _, chunk in group] for _, group in grouped]
    return [(run[0][0], run[0][1], run[-1][1]) for run in members]


def _chunks_of(run: object) -> list[ChunkKey]:
    match run:
        case [str(sender), *numbers]:
            first, last = checked_range(numbers)
            return [(sender, number) for number in range(first, last + 1)]
    raise ValueError(f"chunks of a manifest must be [sender, first, last], got {run!r}")
