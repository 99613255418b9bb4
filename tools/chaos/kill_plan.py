"""Draws what is killed and when: at any moment, right after a message of any topic, and while others start anew."""

from __future__ import annotations

import dataclasses
import random

from chaos.settings import NODES, SUPERVISOR

TOPICS = (
    "action_chunk",
    "robot/left/joint_trajectory",
    "execution_result",
    "task_reward",
    "chunk_outcome",
    "bootstrap",
    "transition",
    "transition_ack",
    "policy_version",
    "episode_event",
)
"""The topics after whose messages is killed."""
ANY_MOMENT, RESTARTING = "at any moment", "while others may start anew"
_SHARE_OF_SUPERVISOR, _SHARE_OF_TWO = 0.08, 0.2
_SHARE_OF_ANY_MOMENT, _SHARE_OF_RESTARTING = 0.25, 0.15
_DELAYS = (0.0, 0.002, 0.01, 0.05, 0.2)
"""The times for which a kill waits after a message at most, s. They cover a chunk, an update and a checkpoint."""


@dataclasses.dataclass(frozen=True)
class Kill:
    """A kill.

    Attributes:
        targets: the nodes that are killed at once, or the supervisor.
        chunks: the number of executed chunks from which on it is due.
        moment: a topic after whose next message it happens, `ANY_MOMENT` or `RESTARTING`.
        delay: the time that passes after that, s.
    """

    targets: tuple[str, ...]
    chunks: int
    moment: str
    delay: float

    def __str__(self) -> str:
        when = f"{1e3 * self.delay:.1f} ms after {self.moment}" if self.moment in TOPICS else self.moment
        return f"{' and '.join(self.targets)} {when}"


def draw_kills(number: int, num_chunks: int, seed: int) -> list[Kill]:
    """Returns kills that are spread over a run.

    Args:
        number: the number of kills.
        num_chunks: the number of chunks of the run.
        seed: the seed of everything random.
    """
    chance = random.Random(seed)
    due = sorted(chance.uniform(0.0, 0.95 * num_chunks) for _ in range(number))
    return [_draw(chance, round(chunks)) for chunks in due]


def _draw(chance: random.Random, chunks: int) -> Kill:
    kind = chance.random()
    if kind < _SHARE_OF_SUPERVISOR:
        targets: tuple[str, ...] = (SUPERVISOR,)
    else:
        targets = tuple(chance.sample(NODES, 2 if kind < _SHARE_OF_SUPERVISOR + _SHARE_OF_TWO else 1))
    when = chance.random()
    if when < _SHARE_OF_ANY_MOMENT:
        return Kill(targets, chunks, ANY_MOMENT, chance.uniform(0.0, 1.0))
    if when < _SHARE_OF_ANY_MOMENT + _SHARE_OF_RESTARTING:
        return Kill(targets, chunks, RESTARTING, chance.uniform(0.0, 8.0))
    return Kill(targets, chunks, chance.choice(TOPICS), chance.uniform(0.0, chance.choice(_DELAYS)))
