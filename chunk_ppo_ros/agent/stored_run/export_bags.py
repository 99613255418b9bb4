"""Writes the stored messages of a run as bags (MCAP), which other programs read."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Protocol

from rosbags.typesys.store import Typestore

from chunk_ppo_ros.agent.stored_run.run_folders import RunFolders, read_live_store
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.data.bags.bag_writer import BagRecorder, load_types
from chunk_ppo_ros.data.store import DamagedRecord, RecordPlace, read_payload
from chunk_ppo_ros.reporting.progress import progress_bar

_PART_BYTES = 2**29
_NO_LIMIT = 2**62


@dataclasses.dataclass(frozen=True)
class StoredMessage:
    """What a kind of records holds.

    Attributes:
        topic: the topic of the message.
        type_name: its type as ROS writes it.
    """

    topic: str
    type_name: str


_CHUNK = StoredMessage("action_chunk", "chunk_ppo_msgs/msg/ActionChunk")
_BOOTSTRAP = StoredMessage("bootstrap", "chunk_ppo_msgs/msg/Bootstrap")
_RESULT = StoredMessage("execution_result", "chunk_ppo_msgs/msg/ExecutionResult")
_REWARD = StoredMessage("task_reward", "chunk_ppo_msgs/msg/TaskReward")
_OUTCOME = StoredMessage("chunk_outcome", "chunk_ppo_msgs/msg/ChunkOutcome")
_TRANSITION = StoredMessage("transition", "chunk_ppo_msgs/msg/Transition")

MESSAGES = {
    ("policy", 1): _CHUNK,
    ("policy", 2): _BOOTSTRAP,
    ("robot", 1): _RESULT,
    ("sim", 1): _REWARD,
    ("classifier", 1): _REWARD,
    ("reward", 1): _OUTCOME,
    ("reward", 3): _TRANSITION,
    ("journal", 1): _TRANSITION,
}
"""The message of each store and kind.

Records of other kinds are marks and JSON, or a result that robot_node keeps for the case that it dies.
"""


def export_run(run: RunFolders, target: Path) -> list[str]:
    """Writes a bag for each store, in a folder of its name, and returns a line for each.

    Args:
        run: the run, which may go on meanwhile.
        target: the folder to write, which must not exist.

    Raises:
        UserError: when the folder exists, or the definitions of messages are not installed.
        OSError: when a file cannot be read or written.
    """
    if target.exists():
        raise UserError(f"{target} must not exist yet, but it does; remove it or take another --to")
    try:
        types = load_types(sorted({message.type_name for message in MESSAGES.values()}))
    except FileNotFoundError as error:
        raise UserError(f"{error}; install the messages of this package, as `make setup` does") from error
    return [_export_store(folder, target / folder.name, types) for folder in run.stores()]


def _export_store(folder: Path, target: Path, types: Typestore) -> str:
    recorder = BagRecorder(target, types, part_bytes=_PART_BYTES, total_bytes=_NO_LIMIT)
    written, damaged = 0, 0
    places = read_live_store(folder, check_payloads=False).records
    bar = progress_bar(f"exporting the store {folder.name}", unit="record", total=len(places))
    try:
        for place in places:
            message = MESSAGES.get((folder.name, place.key.kind))
            payload = None if message is None else _payload(place)
            if message is not None and payload is not None:
                stamp = _stamp(types.deserialize_cdr(payload, message.type_name))
                recorder.write(message.topic, message.type_name, stamp, payload)
                written += 1
            damaged += message is not None and payload is None
            bar.update()
    finally:
        bar.close()
        recorder.close()
    lost = f", {damaged} could not be read" if damaged else ""
    return f"{folder.name}: {count_of(written, 'message')}{lost}"


def _payload(place: RecordPlace) -> bytes | None:
    """Returns a payload, or None where it is damaged or was removed meanwhile."""
    try:
        return read_payload(place)
    except (DamagedRecord, FileNotFoundError):
        return None


class _Time(Protocol):
    sec: int
    nanosec: int


class _Header(Protocol):
    stamp: _Time


def _stamp(message: object) -> int:
    """Returns the stamp of a message, ns. A transition has the stamp of its chunk."""
    header: _Header = getattr(message, "header", None) or message.chunk.header  # type: ignore[attr-defined]
    return header.stamp.sec * NANOSECONDS + header.stamp.nanosec
