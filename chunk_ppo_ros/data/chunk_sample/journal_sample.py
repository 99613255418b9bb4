"""Reads the sample of a run from the transitions that trainer_node has stored. It needs no ROS, and changes nothing."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.serde import SerdeError
from rosbags.typesys.store import Typestore

from chunk_ppo_ros.core.execution import CLAMPING_CAUSES
from chunk_ppo_ros.data.bags.bag_writer import load_types
from chunk_ppo_ros.data.chunk_sample.facts import ChunkFacts, ChunkSample, EpisodeStrip, shown, small
from chunk_ppo_ros.data.journal_index import TRANSITION
from chunk_ppo_ros.data.message_format import FORMAT
from chunk_ppo_ros.data.store import DamagedRecord, RecordPlace, read_payload
from chunk_ppo_ros.data.store.segment_file import first_index_of, list_segments
from chunk_ppo_ros.data.store.segment_reader import scan

JOURNAL = Path("store") / "journal"
"""The folder of the stored transitions, below that of the run."""
MAX_CHUNKS = 512
"""The largest number of transitions that are read."""
MAX_BYTES = 2**26
"""The size from which on no further transitions are read, bytes. So a page costs the same for a large store."""

_TYPE = "chunk_ppo_msgs/msg/Transition"


def read_sample(run_dir: Path, run_id: str) -> ChunkSample | None:
    """Returns the sample of a run, or None where its folder stores no transition of this run.

    Raises:
        OSError: when a file cannot be read.
        FileNotFoundError: when the definitions of the messages are not installed.
        UserError: when another version of this package wrote the store.
    """
    messages: dict[tuple[int, str], Any] = {}
    for place in _newest(run_dir / JOURNAL, run_id):
        message = _message(place)
        if message is not None:
            # Of a message that came twice, one counts.
            messages.setdefault((place.key.number, place.key.sender), message)
    if not messages:
        return None
    ordered = [messages[key] for key in sorted(messages)]
    note = f"The numbers and the episodes are those of the newest {len(ordered)} stored chunks."
    strips = {strip.success: strip for strip in _strips(ordered)}
    return ChunkSample(tuple(map(_facts, ordered)), strips.get(True), strips.get(False), note)


def _newest(folder: Path, run_id: str) -> Iterator[RecordPlace]:
    """Yields the places of the newest transitions of the run, the newest first."""
    count, size = 0, 0
    end: int | None = None
    for path in reversed(list_segments(folder)):
        try:
            found = scan(path, end_index=end, check_payloads=False)
        except FileNotFoundError:  # The oldest files are removed when the budget of the disk asks for it.
            return
        end = first_index_of(path)
        if found.segment.header is not None and found.segment.header.message_format != FORMAT:
            return
        for place in reversed(found.records):
            if place.key.kind == TRANSITION and place.run_id == run_id:
                yield place
                count, size = count + 1, size + place.length
                if count >= MAX_CHUNKS or size >= MAX_BYTES:
                    return


@functools.cache
def _types() -> Typestore:
    return load_types([_TYPE])


def _message(place: RecordPlace) -> Any | None:
    """Returns a transition as rosbags decodes it, or None where it is damaged or was removed meanwhile."""
    try:
        return _types().deserialize_cdr(read_payload(place), _TYPE)
    except (DamagedRecord, FileNotFoundError, SerdeError):
        return None


def _facts(message: Any) -> ChunkFacts:
    chunk, outcome = message.chunk, message.outcome
    mask = np.asarray(chunk.token_mask, bool)
    return ChunkFacts(
        sequence_number=int(chunk.sequence_number),
        episode=int(chunk.episode),
        chunk=int(chunk.chunk),
        policy_version=int(chunk.policy_version),
        value=float(chunk.value),
        reward=float(outcome.reward),
        log_prob=float(np.sum(np.asarray(chunk.token_log_probs)[mask])),
        entropy=float(chunk.entropy),
        num_steps=int(outcome.execution.num_steps),
        num_clamped_steps=int(np.count_nonzero(np.asarray(outcome.execution.causes) & int(CLAMPING_CAUSES))),
        terminated=bool(outcome.terminated),
        truncated=bool(outcome.truncated),
        success=bool(outcome.success),
        human_driven=bool(chunk.human),
    )


def _strips(messages: Sequence[Any]) -> Iterator[EpisodeStrip]:
    """Yields the episodes that are whole among the messages, in the order of their numbers and of their robots."""
    by_episode: dict[tuple[int, str], list[Any]] = {}
    for message in messages:
        by_episode.setdefault((message.chunk.episode, message.chunk.sender), []).append(message)
    for _, episode in sorted(by_episode.items(), key=lambda item: item[0]):
        ends = _facts(episode[-1]).ends_episode
        if ends and episode[0].chunk.chunk == 0:
            indices = shown(len(episode))
            chosen = [episode[index] for index in indices]
            images = [small(_images(message.chunk.observation)) for message in chosen]
            yield EpisodeStrip(
                str(episode[-1].chunk.observation.prompt),
                len(episode),
                tuple(map(_facts, chosen)),
                np.stack(images),
            )


def _images(observation: Any) -> np.ndarray:
    """Returns the images uint8 [C, h, w, 3] of an observation."""
    shape = (observation.num_cameras, observation.height, observation.width, 3)
    return np.asarray(observation.images, np.uint8).reshape(shape)
