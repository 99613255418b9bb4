"""The counters that say how far a run has come."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Sequence

from chunk_ppo_ros.core.types import Transition

RUN_ID = "CHUNK_PPO_RUN_ID"
"""The variable of the environment by which a replay gives a new run the identity of the recorded one."""


def new_run_id(name: str) -> str:
    """Returns the identity of a run that begins now, from the name of the run and the time."""
    return os.environ.get(RUN_ID) or f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"


@dataclasses.dataclass(frozen=True)
class Counters:
    """The counters of a run, which `metadata.json` of each checkpoint keeps.

    Attributes:
        run_id: identity of the run; a resumed run keeps it.
        policy_version: number of updates made so far, which is the number of the present version.
        num_chunks: number of chunks that the run has trained on.
        num_steps: number of executed control steps that the run has trained on.
        next_sequence_number: sequence number that follows the last chunk trained on.
        next_episode: episode number that follows the last chunk trained on.
    """

    run_id: str
    policy_version: int = 0
    num_chunks: int = 0
    num_steps: int = 0
    next_sequence_number: int = 0
    next_episode: int = 0

    def after(self, transitions: Sequence[Transition]) -> Counters:
        """Returns the counters after an update on these transitions."""
        return Counters(
            run_id=self.run_id,
            policy_version=self.policy_version + 1,
            num_chunks=self.num_chunks + len(transitions),
            num_steps=self.num_steps + sum(transition.outcome.num_steps for transition in transitions),
            next_sequence_number=max(one.id.sequence_number for one in transitions) + 1,
            next_episode=max(one.id.episode for one in transitions) + 1,
        )
