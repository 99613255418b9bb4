"""Makes episodes from the transitions that a run has stored. It needs no bag, and no ROS but the message definitions.

A transition holds what the policy saw at the start of its chunk, and what the robot was commanded in each step after.
It does not hold where the robot was in the steps between. There the state of an episode is the command before, and
`Episode.image_steps` says which steps were measured.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from rosbags.serde import SerdeError
from rosbags.typesys.store import Typestore

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.core.wording.counts import clause
from chunk_ppo_ros.data.bags.bag_writer import load_types
from chunk_ppo_ros.data.episode import Episode, LeftOut, ReadImage, RecordingFacts, rewards_of_steps
from chunk_ppo_ros.data.message_format import FORMAT
from chunk_ppo_ros.data.rollout_journal import DISCARDED, TRANSITION
from chunk_ppo_ros.data.store import Contents, DamagedRecord, RecordPlace, read_payload
from chunk_ppo_ros.robot import aloha

_TYPE = "chunk_ppo_msgs/msg/Transition"
_EpisodeKey = tuple[str, str, int]
"""What an episode is identified by: its run, its sender and its number."""


@dataclasses.dataclass(frozen=True)
class _Chunk:
    """The part of a transition that is kept, with its place instead of its images."""

    place: RecordPlace
    number: int
    states: np.ndarray
    actions: np.ndarray
    seen: tuple[bool, ...]
    prompt: str
    reward: float
    ends: bool
    success: bool


def read_stored_episodes(
    contents: Contents, folder: pathlib.Path, *, rate: float, cameras: Sequence[str], prompt: str = ""
) -> Iterator[Episode | LeftOut]:
    """Yields the episodes of a journal, in the order in which they began. Those that are not whole are `LeftOut`.

    Args:
        contents: what the journal of the run holds.
        folder: the folder of the run, for the names of episodes.
        rate: the control rate of the run, Hz.
        cameras: the names of the policy's cameras, in its order.
        prompt: the prompt that replaces those of the chunks where it is not empty.

    Raises:
        EpisodesError: where the definitions of messages are not installed, or a transition is of another robot.
    """
    discarded = {(r.run_id, r.key.sender, r.key.number) for r in contents.records if r.key.kind == DISCARDED}
    episodes, num_damaged = _by_episode(contents, folder)
    if num_damaged:
        damaged = clause(num_damaged, "transition", "is", "are")
        yield LeftOut(f"a part of {folder}", f"{damaged} not readable; `store verify` says more")
    for key, chunks in episodes.items():
        source = f"{folder}, run {key[0]}, episode {key[2]} of {key[1]}"
        reason = "it was discarded" if key in discarded else _reason_to_leave_out(chunks)
        if reason:
            yield LeftOut(source, reason)
            continue
        yield _to_episode(chunks, source=source, rate=rate, cameras=cameras, prompt=prompt)


@functools.cache
def _types() -> Typestore:
    """Returns the definition of a transition.

    Raises:
        EpisodesError: where it is not installed.
    """
    try:
        return load_types([_TYPE])
    except FileNotFoundError as error:
        raise EpisodesError(f"{error}; install the messages of this package, as `make setup` does") from error


def _by_episode(contents: Contents, folder: pathlib.Path) -> tuple[dict[_EpisodeKey, list[_Chunk]], int]:
    """Returns the chunks of each episode in order, and the number of transitions that cannot be read."""
    types, num_damaged = _types(), 0
    found: dict[_EpisodeKey, dict[int, _Chunk]] = {}
    for place in contents.records:
        if place.key.kind == TRANSITION:
            try:
                message: Any = types.deserialize_cdr(read_payload(place), _TYPE)
            except (DamagedRecord, FileNotFoundError, SerdeError):
                num_damaged += 1
                continue
            chunk = message.chunk
            episode = found.setdefault((chunk.run_id, chunk.sender, chunk.episode), {})
            episode.setdefault(chunk.chunk, _to_chunk(message, place, folder))
    return {key: [chunks[number] for number in sorted(chunks)] for key, chunks in found.items()}, num_damaged


def _to_chunk(message: Any, place: RecordPlace, folder: pathlib.Path) -> _Chunk:
    chunk, outcome = message.chunk, message.outcome
    execution, dim = outcome.execution, chunk.action_dim
    num_steps = execution.num_steps
    if dim != aloha.ACTION_DIM or len(chunk.actions) != chunk.horizon * dim or num_steps > chunk.horizon:
        raise EpisodesError(
            f"a transition must have {aloha.ACTION_DIM} numbers for each action, got {len(chunk.actions)} numbers of "
            f"{chunk.horizon} actions with {dim} in chunk {chunk.sequence_number} of {folder}; export another run"
        )
    actions = np.array(chunk.actions, np.float32).reshape(-1, dim)[:num_steps]
    commanded = np.array(execution.commanded, np.float32).reshape(-1, dim)
    before = commanded[: num_steps - 1] if len(commanded) >= num_steps else actions[:-1]
    start = np.array(chunk.observation.state, np.float32)[None]
    return _Chunk(
        place=place,
        number=chunk.chunk,
        states=np.concatenate([start, before])[:num_steps],
        actions=actions,
        seen=tuple(bool(seen) for seen in chunk.observation.image_mask),
        prompt=chunk.observation.prompt,
        reward=float(outcome.reward),
        ends=bool(outcome.terminated or outcome.truncated),
        success=bool(outcome.success),
    )


def _reason_to_leave_out(chunks: Sequence[_Chunk]) -> str:
    """Returns why the chunks of an episode are not a whole episode, or an empty text."""
    present = {chunk.number for chunk in chunks}
    missing = [str(number) for number in range(max(present)) if number not in present]
    if missing:
        return f"chunk {', '.join(missing)} is not stored; it was refused, set aside or removed"
    if not chunks[-1].ends:
        return "its end is not stored; the run goes on, or was stopped in it"
    return "" if any(len(chunk.actions) for chunk in chunks) else "nothing of it was executed"


def _to_episode(chunks: Sequence[_Chunk], *, source: str, rate: float, cameras: Sequence[str], prompt: str) -> Episode:
    executed = [chunk for chunk in chunks if len(chunk.actions)]
    starts = np.cumsum([0, *(len(chunk.actions) for chunk in executed)])
    places = {int(start): chunk.place for start, chunk in zip(starts, executed, strict=False)}
    return Episode(
        source=source,
        states=np.concatenate([chunk.states for chunk in executed]),
        actions=np.concatenate([chunk.actions for chunk in executed]),
        rate=rate,
        prompt=prompt or executed[0].prompt,
        success=any(chunk.success for chunk in chunks),
        cameras=_cameras(executed, places, cameras),
        image_steps=starts[:-1],
        rewards=rewards_of_steps([chunk.reward for chunk in executed], starts[1:].tolist()),
        facts=_facts(rate),
    )


def _cameras(chunks: Sequence[_Chunk], places: dict[int, RecordPlace], cameras: Sequence[str]) -> dict[str, ReadImage]:
    """Returns functions that read the cameras which the policy had in all chunks."""
    seen = [all(column) for column in zip(*(chunk.seen for chunk in chunks), strict=True)]
    return {
        camera: functools.partial(_read_image, places, index)
        for index, camera in enumerate(cameras)
        if index < len(seen) and seen[index]
    }


def _read_image(places: dict[int, RecordPlace], camera: int, step: int) -> np.ndarray:
    """Returns the image of a camera at the first step of a chunk.

    Raises:
        EpisodesError: where the transition was removed meanwhile, or is damaged.
    """
    try:
        return _images(places[step])[camera]
    except (DamagedRecord, FileNotFoundError, ValueError) as error:
        raise EpisodesError(f"the transition of step {step} must stay readable: {error}; export again") from error


@functools.lru_cache(maxsize=1)
def _images(place: RecordPlace) -> np.ndarray:
    """Returns the images of a transition, uint8 [C, h, w, 3]. The last ones are kept for the other cameras."""
    message: Any = _types().deserialize_cdr(read_payload(place), _TYPE)
    seen = message.chunk.observation
    return np.asarray(seen.images).reshape(seen.num_cameras, seen.height, seen.width, 3)


def _facts(rate: float) -> RecordingFacts:
    names = tuple(aloha.joint_name(index) for index in range(aloha.ACTION_DIM))
    return RecordingFacts(
        format=f"stored transitions, message format {FORMAT}",
        state_names=names,
        action_names=names,
        said=("states and images were measured at the start of each chunk",),
        assumed=(
            f"chunks were executed at {rate:g} Hz (robot.control_rate)",
            "between the starts of chunks the state is the command before",
        ),
    )
