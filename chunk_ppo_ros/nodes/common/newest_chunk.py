"""Writes the newest chunk into policy_node's status on `/diagnostics`, and reads it from it.

The message of a chunk holds images. A screen that shows only its numbers reads them here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from chunk_ppo_ros.nodes.common.status.diagnostics import Value

PREFIX = "newest chunk: "


@dataclasses.dataclass(frozen=True)
class NewestChunk:
    """The numbers of a chunk.

    Attributes:
        sequence_number: its number in the run.
        episode: the episode of the run that it belongs to.
        chunk: its number in the episode, from 0.
        policy_version: the version of the weights that sampled it.
        value: V(s), in units of reward.
        num_steps: the control steps that are to be executed.
        human: whether a human drove it.
        stamp: its stamp, ns of ROS time.
        observation_stamp: the stamp of the oldest reading that it was sampled from, ns of ROS time.
    """

    sequence_number: int
    episode: int
    chunk: int
    policy_version: int
    value: float
    num_steps: int
    human: bool
    stamp: int
    observation_stamp: int


def chunk_values(chunk: NewestChunk | None) -> dict[str, Value]:
    """Returns keys and values for a status, one for each number; none before the first chunk."""
    fields = {} if chunk is None else dataclasses.asdict(chunk)
    return {f"{PREFIX}{name}": value for name, value in fields.items()}


def read_chunk(values: Mapping[str, str]) -> NewestChunk | None:
    """Returns the chunk that the keys and values of a status tell, or None where they do not tell a whole one."""
    texts = {key.removeprefix(PREFIX): value for key, value in values.items() if key.startswith(PREFIX)}
    try:
        numbers = {name: int(texts[name]) for name in _WHOLE_NUMBERS}
        return NewestChunk(value=float(texts["value"]), human=bool(int(texts["human"])), **numbers)
    except (KeyError, ValueError):
        return None


_WHOLE_NUMBERS = tuple(field.name for field in dataclasses.fields(NewestChunk) if field.name not in ("value", "human"))
