"""Collects the evidence of a run: what was heard, what the stores hold, and what the checkpoints say of consumption."""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from chunk_ppo_msgs import msg
from rclpy.serialization import deserialize_message

from chaos.campaign import Campaign
from chaos.heard import NEVER, Heard
from chaos.judge import Evidence, StoredTransition
from chaos.listener import read_chunk, read_result
from chaos.store_files import SETTLED, StoredRecord, records_below
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns


@dataclasses.dataclass(frozen=True)
class Trained:
    """What the checkpoints say of consumption.

    Attributes:
        updates: the sequence numbers that each update consumed, in its order, by the version that it made.
        contradictions: a line for each checkpoint that tells another story than the newest one.
    """

    updates: Mapping[int, Sequence[int]]
    contradictions: tuple[str, ...]


def trained_of(checkpoints: Path) -> Trained:
    """Returns what the checkpoints of a run say that it was trained on.

    Raises:
        FileNotFoundError: when there is no checkpoint.
    """
    steps = sorted((int(path.name.removeprefix("step_")), path) for path in checkpoints.glob("step_*"))
    whole = [(step, path) for step, path in steps if (path / "metadata.json").exists()]
    if not whole:
        raise FileNotFoundError(f"{checkpoints} must hold a checkpoint, got none; look at the output of the graph")
    told = {step: _updates(path) for step, path in whole}
    newest = told[whole[-1][0]]
    contradictions = []
    for step, updates in told.items():
        if updates != {version: numbers for version, numbers in newest.items() if version <= step}:
            contradictions.append(f"step_{step} tells of other updates than step_{whole[-1][0]}")
        chunks = sum(len(numbers) for numbers in updates.values())
        counted = json.loads((checkpoints / f"step_{step}" / "metadata.json").read_text())["counters"]["num_chunks"]
        if chunks != counted:
            contradictions.append(f"step_{step} counts {counted} chunks, and its updates consumed {chunks}")
    return Trained(newest, tuple(contradictions))


def _updates(checkpoint: Path) -> dict[int, list[int]]:
    content = json.loads((checkpoint / "consumed.json").read_text())
    return {
        int(version): [number for _, first, last in manifest["chunks"] for number in range(first, last + 1)]
        for version, manifest in content["updates"].items()
    }


def collect(campaign: Campaign, *, checkpoints: Path, stores: Path, kept: Path) -> Evidence:
    """Returns the evidence of a run that has ended.

    Args:
        campaign: the run.
        checkpoints: the folder of its checkpoints.
        stores: the folder of its stores.
        kept: the folder with links to all segments that there were.
    """
    trained = trained_of(checkpoints)
    transitions: dict[int, set[StoredTransition]] = collections.defaultdict(set)
    for record in _records(kept / "journal", TRANSITION):
        transitions[record.number].add(_transition(deserialize_message(record.payload, msg.Transition)))
    consumed = {number for numbers in trained.updates.values() for number in numbers}
    left_out = {record.number for record in _records(stores / "journal", LEFT_OUT)}
    waiting = {record.number for record in _records(stores / "journal", TRANSITION)} - consumed - left_out
    aside = {stored.stamp: f"number {number}" for number in left_out for stored in transitions.get(number, ())}
    return Evidence(
        heard=campaign.witness.messages,
        told=(*_results(_messages(kept / "robot")), *_sent(_messages(kept / "policy"))),
        trained=trained.updates,
        waiting=frozenset(waiting),
        set_aside={**aside, **dict(_set_aside(_messages(stores / "set_aside")))},
        stored={number: frozenset(found) for number, found in transitions.items()},
        in_stores=frozenset(record.number for name in ("policy", "reward") for record in _messages(stores / name)),
        deaths=campaign.deaths,
        quiet_since=campaign.quiet_since,
        contradictions=trained.contradictions,
    )


def _messages(folder: Path) -> list[StoredRecord]:
    """Returns the records of a store that hold messages."""
    return [record for record in records_below(folder) if not record.kind & SETTLED]


def _records(folder: Path, kind: int) -> list[StoredRecord]:
    """Returns the records of a store of one kind."""
    return [record for record in records_below(folder) if record.kind == kind]


def _transition(message: msg.Transition) -> StoredTransition:
    """Returns what a transition says."""
    return StoredTransition(
        stamp=time_to_ns(message.chunk.header.stamp),
        steps=int(message.outcome.execution.num_steps),
        next_value=float(message.next_value),
        terminated=bool(message.outcome.terminated),
    )


def _set_aside(records: Iterable[StoredRecord]) -> Iterator[tuple[int, str]]:
    """Yields the stamp of each transition that was set aside, and the line that says why."""
    for record in records:
        why, _, message = record.payload.partition(b"\n")
        yield _transition(deserialize_message(message, msg.Transition)).stamp, why.decode(errors="replace")


def _results(records: Iterable[StoredRecord]) -> Iterator[Heard]:
    """Yields the results in robot_node's store."""
    for record in records:
        yield Heard("execution_result", NEVER, **read_result(deserialize_message(record.payload, msg.ExecutionResult)))


def _sent(records: Iterable[StoredRecord]) -> Iterator[Heard]:
    """Yields the chunks and the values after them in policy_node's store."""
    for record in records:
        if record.kind in _SENT:
            topic, message_type = _SENT[record.kind]
            yield Heard(topic, NEVER, **read_chunk(deserialize_message(record.payload, message_type)))


TRANSITION, LEFT_OUT = 1, 2
"""The kinds of the transitions in the trainer's journal, and of the marks of those that no update takes."""
_SENT = {1: ("action_chunk", msg.ActionChunk), 2: ("bootstrap", msg.Bootstrap)}
"""The messages in policy_node's store by the kinds of their records."""
