"""Holds how far the policy has come in an episode. `rollout_state.py` replaces these values."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.core.types import ChunkId


@dataclasses.dataclass(frozen=True)
class LastChunk:
    """The newest chunk. It is kept until its outcome is known and its bootstrap value, if it needs one, is sent.

    Attributes:
        id: the identity of the chunk.
        policy_version: the version of the weights that made it.
        prompt: the task of its episode in words.
        human_driven: whether a human drove it.
        outcome_known: whether reward_node said how it ended.
        owes_bootstrap: whether the value of the observation after it must be sent.
    """

    id: ChunkId
    policy_version: int
    prompt: str
    human_driven: bool
    outcome_known: bool = False
    owes_bootstrap: bool = False


@dataclasses.dataclass(frozen=True)
class EpisodeProgress:
    """The episode of the newest event, and how far the policy has come in it.

    Attributes:
        number: the number of the episode, or None before the first event.
        prompt: the task of the episode in words.
        is_running: whether it has started and is not over.
        is_paused: whether the operator paused it.
        is_over: whether an outcome ended it. It does not run again, also where its start is announced again.
        next_chunk: the number of its next chunk.
        num_steps: the control steps that the policy's chunks executed in it.
    """

    number: int | None = None
    prompt: str = ""
    is_running: bool = False
    is_paused: bool = False
    is_over: bool = False
    next_chunk: int = 0
    num_steps: int = 0
