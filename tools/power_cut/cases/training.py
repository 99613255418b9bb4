"""A training: the journal of transitions and the checkpoints that say which of them are trained on."""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path

from chunk_ppo_ros.core.consumption.consumed import NOTHING_CONSUMED, Consumed
from chunk_ppo_ros.data.rollout_journal import RolloutJournal
from power_cut.case import Case, payload, say
from power_cut.cases.checkpoint import ContentFaults, digest_of, read_fault, save

_SENDERS = ("robot_0", "robot_1")
_NUM_EACH = 5
"""The number of transitions that each sender sends to each process."""
_PER_UPDATE = 4
_LEFT_OUT = 3
"""The number of a transition that no update takes, in each process."""
_SEGMENT_BYTES = 1500
_MAX_BYTES = 2500
_RUN = "run"

Key = tuple[str, int]

_opened_checkpoints: dict[bytes, tuple[int, Consumed]] = {}
"""The versions and chunks of checkpoints that were opened before, because most states have the same ones."""


class TrainingCase(Case):
    """Accepts transitions of two senders, trains on them and removes old ones, in two processes.

    A process before the last update of which was cut goes on from its checkpoint, as trainer_node does.
    """

    name = "training"
    num_sessions = 2

    def __init__(self) -> None:
        """Begins without verdicts on checkpoints."""
        self._faults = ContentFaults(self._content_fault)

    def write(self, folder: Path, session: int) -> None:
        """Acknowledges transitions and announces versions."""
        version, consumed = _newest(folder)
        journal = _opened(folder, consumed)
        if version < 0:
            version = 0
            save(folder / "checkpoints", 0, consumed)
            say("ANNOUNCED 0")
        for number in range(session * _NUM_EACH, (session + 1) * _NUM_EACH):
            for sender in _SENDERS:
                _add(journal, (sender, number))
                say(f"ACCEPTED {sender} {number}")
            if number % _NUM_EACH == _LEFT_OUT:
                _leave_out(journal, (_SENDERS[0], number))
                say(f"LEFT_OUT {_SENDERS[0]} {number}")
            waiting = journal.waiting()
            if len(waiting) >= _PER_UPDATE:
                version += 1
                consumed = consumed.after(version, waiting[:_PER_UPDATE])
                save(folder / "checkpoints", version, consumed)
                say(f"ANNOUNCED {version}")
                journal.mark_consumed(consumed)
                journal.remove_oldest(max_bytes=_MAX_BYTES)

    def judge(self, folder: Path, said: Sequence[str]) -> str:
        """Goes on from the newest checkpoint, and compares each acknowledged transition with where it is now."""
        version, consumed = _newest(folder)
        announced = max((int(line.split()[1]) for line in said if line.startswith("ANNOUNCED")), default=-1)
        if version < announced:
            return f"version {announced} was announced, but the newest checkpoint is {version}"
        with contextlib.closing(_opened(folder, consumed)) as journal:
            return self._journal_fault(journal, consumed, said) or (
                "" if version < 0 else self._faults.of(folder / "checkpoints" / f"step_{version}", version)
            )

    @staticmethod
    def _journal_fault(journal: RolloutJournal, consumed: Consumed, said: Sequence[str]) -> str:
        accepted, left_out, waiting = _keys(said, "ACCEPTED"), _keys(said, "LEFT_OUT"), set(journal.waiting())
        trained = collections.Counter(key for manifest in consumed.updates.values() for key in manifest.chunks)
        # A mark may be on disk before it is said, and it is removed with the file of its transition.
        lost = sorted(key for key in accepted - left_out - trained.keys() - waiting if not journal.is_left_out(key))
        twice = [key for key, count in trained.items() if count > 1 or key in waiting]
        found = {key: journal.read(key) for key in waiting}
        again = [sender for sender in _SENDERS if journal.next_sequence_number(sender) <= _highest(accepted, sender)]
        faults = {
            f"lost {lost}": lost,
            f"trained twice {twice}": twice,
            f"trained on {left_out & trained.keys()}, which were left out": left_out & trained.keys(),
            f"{left_out & waiting} wait again": left_out & waiting,
            "wrong content": [key for key, content in found.items() if content != payload(key[1])],
            f"numbers of {again} are used again": again,
        }
        return ", ".join(text for text, keys in faults.items() if keys)

    @staticmethod
    def _content_fault(checkpoint: Path, version: int) -> str:
        return read_fault(checkpoint, version, _newest(checkpoint.parents[1])[1])


def _newest(folder: Path) -> tuple[int, Consumed]:
    """Returns the newest version, or -1 without one, and what it was made from."""
    from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
    from chunk_ppo_ros.model.checkpoints.step_folders import newest_checkpoint

    newest = newest_checkpoint(folder / "checkpoints")
    if newest is None:
        return -1, NOTHING_CONSUMED
    digest = digest_of(newest)
    if digest not in _opened_checkpoints:
        checkpoint = Checkpoint.open(newest)
        _opened_checkpoints[digest] = checkpoint.policy_version, checkpoint.load_consumed()
    return _opened_checkpoints[digest]


def _opened(folder: Path, consumed: Consumed) -> RolloutJournal:
    journal = RolloutJournal(folder / "runs" / "store" / "journal", segment_bytes=_SEGMENT_BYTES)
    journal.open()
    journal.begin_run(_RUN, consumed)
    return journal


def _add(journal: RolloutJournal, key: Key) -> None:
    """Stores a transition, and returns when it is safe."""
    done = threading.Event()
    journal.add(key, payload(key[1]), lambda error: done.set())
    done.wait()


def _leave_out(journal: RolloutJournal, key: Key) -> None:
    done = threading.Event()
    journal.leave_out(key, "it has no numbers", lambda error: done.set())
    done.wait()


def _keys(said: Sequence[str], word: str) -> set[Key]:
    return {(line.split()[1], int(line.split()[2])) for line in said if line.split()[0] == word}


def _highest(keys: set[Key], sender: str) -> int:
    return max((number for name, number in keys if name == sender), default=-1)
