"""Keeps on disk what policy_node has sampled, until trainer_node or reward_node has settled it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable
from pathlib import Path

from chunk_ppo_msgs import msg
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.serialization import deserialize_message, serialize_message

from chunk_ppo_ros.agent.next_step.rollout_fill import InFlight
from chunk_ppo_ros.agent.next_step.rollout_progress import RolloutProgress
from chunk_ppo_ros.agent.next_step.stored_rollout import (
    OpenSegment,
    StoredRollout,
    decode_progress,
    encode_progress,
)
from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.data.store import Contents, DamagedRecord, Entry, RecordPlace, Store
from chunk_ppo_ros.data.store.store import SEGMENT_BYTES
from chunk_ppo_ros.nodes.policy.policy_records import Kind, StoredChunk, Write
from chunk_ppo_ros.nodes.policy.segment_record import decode_segment, encode_segment
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns


class PolicyStore:
    """Stores chunks, the values after segments, and the progress of the rollout.

    The thread that spins the node makes a `Write`, the worker thread makes it durable by `run`, and the first thread
    hands its places to `note`. That a chunk is settled is written with the next chunk, and needs no sync of its own:
    whoever sends a settled chunk again gets the same answer again.

    Args:
        folder: the folder of the store.
        logger: is told what is damaged.
        segment_bytes: the length from which on a new file is begun, bytes.

    Attributes:
        chunks: the chunks that nobody has settled, by sequence number.
    """

    def __init__(self, folder: Path, logger: RcutilsLogger, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.chunks: dict[int, StoredChunk] = {}
        self._store = Store(folder, name="policy", segment_bytes=segment_bytes)
        self._logger = logger
        self._run_id = ""
        self._segments: dict[int, RecordPlace] = {}  # by stamp
        self._settled: list[int] = []  # those that no record says yet
        self._lock = threading.Lock()

    def open(self) -> StoredRollout:
        """Locks the store, and returns what an earlier process has stored in it.

        Raises:
            StoreLocked: when another process writes the store.
            OSError: when a file cannot be read.
            UserError: when another version of this package wrote the store.
        """
        contents = self._store.open()
        for damage in contents.holes:
            self._logger.error(f"stored chunks are damaged: {damage}")
        newest = next((place for place in reversed(contents.records) if place.key.kind == Kind.PROGRESS), None)
        is_damaged = _lost_after(newest, contents)
        if newest is None and not is_damaged:
            return StoredRollout()
        progress = RolloutProgress(run_id=_run_of(contents))
        if newest is not None:
            progress = decode_progress(self._store.read(newest))
        self._run_id = progress.run_id
        self._restore(place for place in contents.records if place.may_be_of(progress.run_id))
        in_flight = (InFlight(number, one.episode, one.policy_version) for number, one in self.chunks.items())
        stored = StoredRollout.restore(
            progress,
            in_flight,
            is_damaged=is_damaged,
            segments=[decode_segment(self._store.read(place)) for place in self._segments.values()],
        )
        self._segments = {segment.stamp: self._segments[segment.stamp] for segment in stored.segments}
        return stored

    def _restore(self, places: Iterable[RecordPlace]) -> None:
        chunks: dict[int, RecordPlace] = {}
        bootstraps: dict[int, RecordPlace] = {}
        for place in places:
            number = place.key.number
            if place.key.kind == Kind.CHUNK:
                chunks[number] = place
            elif place.key.kind == Kind.BOOTSTRAP:
                bootstraps[number] = place
            elif place.key.kind == Kind.SEGMENT:
                self._segments[number] = place
            elif place.key.kind == Kind.SETTLED:
                chunks.pop(number, None)
                bootstraps.pop(number, None)
        for number, place in chunks.items():
            message = self._read(place, msg.ActionChunk)
            if message is not None and message.run_id == self._run_id:
                self.chunks[number] = StoredChunk(
                    message.episode, message.policy_version, place, bootstraps.get(number)
                )

    # The thread that spins the node calls the methods below.

    def begin_run(self, run_id: str) -> None:
        """Forgets the chunks of another run."""
        if run_id != self._run_id:
            if self.chunks:
                self._logger.warning(f"{len(self.chunks)} stored chunks of run {self._run_id} are dropped")
            self.chunks.clear()
            self._settled.clear()
            self._run_id = run_id

    def settle(self, number: int) -> None:
        """Records that nobody needs a chunk any more."""
        if self.chunks.pop(number, None) is not None:
            self._settled.append(number)

    def settle_episode(self, episode: int) -> None:
        """Records that nobody needs the chunks of a discarded episode any more."""
        for number in [number for number, chunk in self.chunks.items() if chunk.episode == episode]:
            self.settle(number)

    def write_chunk(self, message: msg.ActionChunk, progress: RolloutProgress) -> Write:
        """Returns what stores a chunk with the progress that it makes."""
        return self._write(progress, Entry(Kind.CHUNK, message.sender, message.sequence_number, _bytes(message)))

    def write_bootstrap(self, message: msg.Bootstrap, progress: RolloutProgress) -> Write:
        """Returns what stores the value after a segment with the progress that it makes."""
        return self._write(progress, Entry(Kind.BOOTSTRAP, message.sender, message.sequence_number, _bytes(message)))

    def write_segment(self, segment: OpenSegment, progress: RolloutProgress, *, image_size: int) -> Write:
        """Returns what stores the readings before a segment, with images of a size in pixels, and the progress."""
        content = encode_segment(segment, image_size=image_size)
        return self._write(progress, Entry(Kind.SEGMENT, DEFAULT_SENDER, segment.stamp, content))

    def forget_segments(self, until: int | None = None) -> None:
        """Records that the segments up to a stamp (ns of ROS time) are chunks, or that none will be one any more."""
        self._segments = {
            stamp: place for stamp, place in self._segments.items() if until is not None and stamp > until
        }

    def write_settled(self, progress: RolloutProgress) -> Write | None:
        """Returns what stores which chunks are settled, or None where this is stored."""
        return self._write(progress) if self._settled else None

    def note(self, write: Write, places: Iterable[RecordPlace], message: msg.ActionChunk | None = None) -> None:
        """Takes the places of what was stored.

        Args:
            write: what was stored.
            places: the places of its records.
            message: the chunk in it, or None where it has none.
        """
        self._settled = [number for number in self._settled if number not in write.settled]
        for place in places:
            number = place.key.number
            if place.key.kind == Kind.CHUNK and message is not None:
                self.chunks[number] = StoredChunk(message.episode, message.policy_version, place)
                if message.human:
                    self.forget_segments(time_to_ns(message.header.stamp))
            elif place.key.kind == Kind.SEGMENT:
                self._segments[number] = place
            elif place.key.kind == Kind.BOOTSTRAP and number in self.chunks:
                self.chunks[number] = dataclasses.replace(self.chunks[number], bootstrap=place)

    def read(self, number: int) -> tuple[msg.ActionChunk, msg.Bootstrap | None] | None:
        """Returns a chunk and the value after it, or None where the chunk is damaged, which settles it.

        Raises:
            OSError: when the file cannot be read.
        """
        chunk = self.chunks[number]
        message = self._read(chunk.place, msg.ActionChunk)
        if message is None:
            self.settle(number)
            return None
        return message, None if chunk.bootstrap is None else self._read(chunk.bootstrap, msg.Bootstrap)

    def close(self, progress: RolloutProgress) -> None:
        """Stores which chunks are settled, and frees the folder. A full disk loses that, and it is learned again."""
        write = self.write_settled(progress)
        try:
            if write is not None:
                self.run(write)
        except OSError as error:
            self._logger.warning(f"the list of settled chunks cannot be stored: {error}")
        with self._lock:
            self._store.close()

    # The worker thread calls the method below.

    def run(self, write: Write) -> list[RecordPlace]:
        """Returns the places of records when they survive a power cut.

        Raises:
            OSError: when they are not stored.
        """
        with self._lock:
            self._store.begin_run(write.run_id)
            places = self._store.append(write.entries)
            try:
                self._store.remove_segments(write.keep_from)
            except OSError as error:
                self._logger.warning(f"segments of settled chunks cannot be removed: {error}")
        return places

    def _write(self, progress: RolloutProgress, *entries: Entry) -> Write:
        settled = tuple(self._settled)
        marks = [Entry(Kind.SETTLED, DEFAULT_SENDER, number, b"") for number in settled]
        note = Entry(Kind.PROGRESS, DEFAULT_SENDER, progress.next_sequence_number, encode_progress(progress))
        needed = [place.index for one in self.chunks.values() for place in (one.place, one.bootstrap) if place]
        needed += [place.index for place in self._segments.values()]
        # The progress stands before the chunk, so that no chunk is read without it after an unfinished write.
        return Write(progress.run_id, (*marks, note, *entries), settled, min(needed, default=2**63))

    def _read(self, place: RecordPlace, kind: type) -> msg.ActionChunk | msg.Bootstrap | None:
        try:
            return deserialize_message(self._store.read(place), kind)
        except DamagedRecord as error:
            self._logger.error(f"a stored chunk is not sent again: {error}")
            return None


def _bytes(message: msg.ActionChunk | msg.Bootstrap) -> bytes:
    return bytes(serialize_message(message))


def _lost_after(newest: RecordPlace | None, contents: Contents) -> bool:
    """Returns whether records are lost that were stored after a progress, or at all where there is none."""
    index = -1 if newest is None else newest.index
    return any(hole.missing and hole.missing.stop > index for hole in contents.holes)


def _run_of(contents: Contents) -> str:
    """Returns the run for which the newest segment was written, or an empty text where its header is damaged."""
    header = contents.segments[-1].header
    return "" if header is None else header.run_id
