"""Gives rollouts the stored transitions that no update has taken, and recognizes transitions that are sent again."""

from __future__ import annotations

import errno
from collections.abc import Callable

from chunk_ppo_msgs import msg

from chunk_ppo_ros.core.consumption.chunk_ranges import ChunkKey
from chunk_ppo_ros.core.consumption.number_window import NumberWindow
from chunk_ppo_ros.data.rollout_journal import RolloutJournal
from chunk_ppo_ros.data.store import DamagedRecord
from chunk_ppo_ros.nodes.trainer.acknowledgment import Acknowledgment
from chunk_ppo_ros.nodes.trainer.intake.received import read_transition, trained_content
from chunk_ppo_ros.nodes.trainer.rollout_buffer import RolloutBuffer
from chunk_ppo_ros.nodes.wire import conversions

LeaveOut = Callable[[ChunkKey, bytes, str], None]
"""The type of what is called with a stored transition that no update takes, its message, and the reason."""


class StoredTransitions:
    """Reads the transitions of a journal that wait for an update.

    Where a run went back to an earlier checkpoint, transitions of several versions wait. Each is taken when the run has
    reached its version.

    Args:
        journal: the journal of the run.
        leave_out: takes the transitions that no update takes, so that they do not wait any more.
    """

    def __init__(self, journal: RolloutJournal, leave_out: LeaveOut) -> None:
        self._journal = journal
        self._leave_out = leave_out
        self._versions: dict[ChunkKey, int] = {}  # the versions of those that wait for a later one

    def fill(self, buffer: RolloutBuffer) -> list[str]:
        """Gives a rollout the transitions that wait for it, and returns why others are left out.

        Raises:
            OSError: when no file can be read.
        """
        reasons = []
        for key in self._journal.waiting():
            if buffer.holds(key) or self._versions.get(key, buffer.version) > buffer.version:
                continue
            try:
                raw, reason = self._offer(key, buffer)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                self._journal.exclude(key)  # A part of the disk is broken. The next process tries again.
                reasons.append(f"{key[0]} {key[1]}: it cannot be read: {error}")
                continue
            if reason:
                self._leave_out(key, raw, reason)
                reasons.append(f"{key[0]} {key[1]}: {reason}")
        return reasons

    def _offer(self, key: ChunkKey, buffer: RolloutBuffer) -> tuple[bytes, str]:
        """Gives a rollout one transition. Returns its message, and why no update takes it, which is empty else."""
        try:
            raw = self._journal.read(key)
        except DamagedRecord as error:
            return b"", str(error)
        if raw is None:
            return b"", ""
        try:
            message = read_transition(raw)
        except ValueError as error:
            return raw, f"it cannot be read: {error}"
        if message.chunk.policy_version > buffer.version:
            self._versions[key] = message.chunk.policy_version
            return raw, ""
        if message.chunk.policy_version == buffer.version and buffer.is_full:
            return raw, ""  # It waits for the case that the rollout loses one of its transitions.
        judged = buffer.judge(message)
        if isinstance(judged, Acknowledgment):
            if judged.status == msg.TransitionAck.DISCARDED:  # That is no flaw of it.
                self._journal.leave_out(key, judged.reason, lambda error: None)
            return raw, judged.reason if judged.is_refusal else ""
        buffer.accept(judged)
        return raw, ""

    def follow(self, window: NumberWindow, sender: str) -> None:
        """Moves a window on to the numbers of the stored transitions of a sender.

        They may be far beyond those of the checkpoint, where the run went back to it. Some transitions are read, so
        that the window can follow their episodes. Where a budget of the disk has removed the oldest ones, the first
        that is left counts as it is.
        """
        keys, following = self._journal.keys(), window.next_sequence_number(sender)
        later = sorted(key for key in keys if key[0] == sender and key[1] >= following)
        chosen = dict.fromkeys([*later[:: max(1, window.largest_jump // 8)], *later[-1:]])
        ids = [conversions.chunk_id(message.chunk) for key in chosen if (message := self._message(key)) is not None]
        if ids and self._journal.is_pruned:
            window.note(ids[0])
        window.note_stored(keys)
        for id in ids:
            window.note_episode(sender, id.episode)

    def known(self, message: msg.Transition) -> Acknowledgment | None:
        """Returns the answer to a transition that was accepted before, or None where it is new."""
        id = conversions.chunk_id(message.chunk)
        if id.run_id != self._journal.run_id or not self._journal.has(id.key):
            return None
        if self._journal.is_discarded(id.sender, id.episode) and not self._journal.is_consumed(id.key):
            return Acknowledgment(msg.TransitionAck.DISCARDED, f"episode {id.episode} is discarded")
        earlier = self._message(id.key)
        if earlier is None or trained_content(earlier) == trained_content(message):
            return Acknowledgment(msg.TransitionAck.DUPLICATE)
        reason = f"sequence_number must be new, got {id.sequence_number}, which another chunk of {id.sender} has"
        return Acknowledgment(msg.TransitionAck.REFUSED_INVALID, reason)

    def _message(self, key: ChunkKey) -> msg.Transition | None:
        """Returns a stored transition, or None where it cannot be read."""
        try:
            raw = self._journal.read(key)
            return None if raw is None else read_transition(raw)
        except (OSError, DamagedRecord, ValueError):
            return None
