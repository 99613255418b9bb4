"""Lets the command train go on with a run that a graph has begun, without taking anything from the graph.

The command makes updates of its own chunks and stores none of them. Chunks of the graph that wait for an update would
never be trained on, and chunks with the same numbers as theirs would count as these.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Set
from pathlib import Path

from chunk_ppo_ros.agent.run_start.starting_checkpoint import StartingCheckpoint
from chunk_ppo_ros.config import RunConfig
from chunk_ppo_ros.core.consumption.chunk_ranges import ChunkKey
from chunk_ppo_ros.core.consumption.consumed import Consumed
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.core.wording.counts import clause
from chunk_ppo_ros.data.earlier_journal import earlier_transitions
from chunk_ppo_ros.data.rollout_journal import NAME, RolloutJournal
from chunk_ppo_ros.data.store import read_store

_CHUNK, _PROGRESS = 1, 3
"""The kinds of records in store/policy with the number of a chunk, and with that of the next (docs/store-format.md)."""
_OUTCOME, _TRANSITION, _ANSWER = 1, 3, 3 + 128
"""The kinds of records in store/reward: how a chunk ended, its transition, and trainer_node's answer to it."""
_GAP = 1000
"""The numbers that are left out where records of policy_node are damaged."""


@contextlib.contextmanager
def held_journal(run: RunConfig, start: StartingCheckpoint) -> Iterator[int]:
    """Holds the journal of a resumed run within the block, and gives the lowest sequence number that is free.

    A run that no graph has begun has no journal. The number is 0 then, and no folder is made.

    Args:
        run: the run.
        start: the checkpoint that it goes on from.

    Raises:
        StoreLocked: when a graph trains the run now.
        UserError: when transitions of a graph wait for an update.
        DiskError: when a store cannot be read.
    """
    stores = run.folder / "store"
    if not run.resume or not ((stores / NAME).is_dir() or earlier_transitions(run.folder)):
        yield 0
        return
    checkpoint = start.require()
    run_id, consumed = checkpoint.require_metadata().counters.run_id, checkpoint.load_consumed()
    journal = RolloutJournal(stores / NAME)
    journal.open()
    try:
        journal.begin_run(run_id, consumed)
        _check_nothing_waits(
            run, {*journal.waiting(), *_unanswered(stores / "reward", journal), *_earlier(run, consumed)}
        )
        yield max(journal.next_sequence_number(DEFAULT_SENDER), _next_of_policy(stores / "policy", run_id))
    finally:
        journal.close()


def _check_nothing_waits(run: RunConfig, waiting: Set[ChunkKey]) -> None:
    if waiting:
        which = clause(len(waiting), "transition", "waits", "wait")
        raise UserError(
            f"the command train must not take over a run whose graph has chunks left, but {which} for an update in "
            f"{run.folder / 'store'}; go on by the command graph with --resume, or move that folder away and lose them"
        )


def _earlier(run: RunConfig, consumed: Consumed) -> set[ChunkKey]:
    """Returns the transitions that an earlier release has stored and no update took."""
    return {key for key in earlier_transitions(run.folder) if key not in consumed.chunks}


def _unanswered(folder: Path, journal: RolloutJournal) -> set[ChunkKey]:
    """Returns the transitions that reward_node has stored and no trainer has taken, because none was there.

    A transition that is followed by another outcome was withdrawn.
    """
    waiting: set[ChunkKey] = set()
    for place in read_store(folder, check_payloads=False).records:
        key = (place.key.sender, place.key.number)
        if not place.may_be_of(journal.run_id):
            continue
        if place.key.kind == _TRANSITION:
            waiting.add(key)
        elif place.key.kind in (_OUTCOME, _ANSWER):
            waiting.discard(key)
    return {key for key in waiting if not journal.has(key)}


def _next_of_policy(folder: Path, run_id: str) -> int:
    """Returns a number above those of all chunks that policy_node has stored."""
    contents = read_store(folder, check_payloads=False)
    places = [place for place in contents.records if place.may_be_of(run_id)]
    chunks = (place.key.number + 1 for place in places if place.key.kind == _CHUNK)
    following = (place.key.number for place in places if place.key.kind == _PROGRESS)
    return max([0, *chunks, *following]) + (0 if contents.is_whole else _GAP)
