"""Compares the transitions of a replay with those of the recorded run, byte for byte.

Serialized messages have unused bytes between fields, which align them. Their content is not defined, and may differ
between two serializations of one message. They are zero in what is compared.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path

from rosbags.typesys.store import Typestore

from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.data.bags.bag_writer import load_types
from chunk_ppo_ros.data.rollout_journal import NAME, JournalIndex
from chunk_ppo_ros.data.store import read_payload, read_store
from chunk_ppo_ros.nodes.wire import topics

Payloads = Mapping[int, Callable[[], bytes]]
"""Functions that read the serialized transitions, by their numbers."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What was found. `str` gives one line for people.

    Attributes:
        source: what the replay was compared with, in words.
        num_transitions: the number of transitions of the recorded run.
        different: the numbers of those that differ or that the replay lacks.
    """

    source: str
    num_transitions: int
    different: tuple[int, ...]

    @property
    def is_equal(self) -> bool:
        """Whether the replay made all transitions of the recorded run, and each with the same content.

        It is false where there is nothing to compare.
        """
        return bool(self.num_transitions) and not self.different

    def __str__(self) -> str:
        num_equal = self.num_transitions - len(self.different)
        if not self.num_transitions:
            return f"there is no accepted transition to compare among {self.source}, so nothing is shown to be equal"
        text = f"{num_equal} of {self.num_transitions} transitions are equal, byte for byte, to {self.source}"
        return text + (f"; others are {', '.join(map(str, self.different[:10]))}" if self.different else "")


def stored_transitions(run: Path, run_id: str) -> Payloads:
    """Returns the transitions that the trainer of a run has accepted, from the run's folder.

    Raises:
        OSError: where the store cannot be read.
        UserError: where another version of this package wrote the store.
    """
    index = JournalIndex.of(read_store(run / "store" / NAME, check_payloads=False), run_id)
    places = {number: place for (sender, number), place in index.places.items() if sender == DEFAULT_SENDER}
    return {number: functools.partial(read_payload, place) for number, place in places.items()}


def compare(recorded: Payloads, replayed: Payloads, *, source: str) -> Comparison:
    """Returns how many transitions of the recorded run the replay has made again.

    Args:
        recorded: the transitions of the recorded run.
        replayed: those of the replay.
        source: where the first come from, in words.
    """
    different = [
        number
        for number, read in sorted(recorded.items())
        if number not in replayed or canonical(read()) != canonical(replayed[number]())
    ]
    return Comparison(source, len(recorded), tuple(different))


def canonical(transition: bytes) -> bytes:
    """Returns a serialized transition in which the bytes between fields are zero."""
    name, types = topics.TRANSITION.type_name, _types()
    return bytes(types.serialize_cdr(types.deserialize_cdr(transition, name), name))


@functools.cache
def _types() -> Typestore:
    return load_types([topics.TRANSITION.type_name])
