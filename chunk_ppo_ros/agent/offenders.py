"""Finds the transitions of a rollout that made its update fail, so that the others can be trained on."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np

from chunk_ppo_ros.core.types import ChunkId, Transition
from chunk_ppo_ros.rl.log_prob_check import RolloutScores
from chunk_ppo_ros.rl.rollout import in_order
from chunk_ppo_ros.rl.update_errors import LogProbGapError

BLAMED = (ValueError, ArithmeticError, TypeError)
"""The errors, beside `UserError`, that a transition can make an update raise before it has changed anything."""
LARGEST_NUMBER = 1e9
"""The largest number of a transition whose square the sums of an update hold in float32."""


@dataclasses.dataclass(frozen=True)
class Offender:
    """A transition that made an update fail, with the reason."""

    id: ChunkId
    reason: str


def find_offenders(
    error: Exception,
    transitions: Sequence[Transition],
    *,
    scores: Callable[[Sequence[Transition]], RolloutScores],
    prepare: Callable[[Sequence[Transition]], object],
) -> tuple[Offender, ...]:
    """Returns the transitions because of which an update raised an error; none where no transition is to blame.

    The first of these that finds one decides: the error itself names them; the numbers of a transition are too large;
    a transition cannot be prepared, even alone; it differs from the others where all must be equal; the policy has no
    finite score for it.

    Args:
        error: what the update raised.
        transitions: the rollout.
        scores: scores a rollout under the present weights.
        prepare: makes of transitions what the update needs of them, and raises what the update would raise.
    """
    ordered = in_order(transitions)
    if isinstance(error, LogProbGapError):
        return tuple(Offender(ordered[place].id, str(error)) for place in error.offenders)
    found = list(_too_large(ordered)) or list(_impossible(ordered, prepare)) or list(_different(ordered))
    return tuple(found) or tuple(_without_score(ordered, scores))


def _too_large(transitions: Sequence[Transition]) -> Iterator[Offender]:
    for entry in transitions:
        chunk = entry.chunk
        numbers = {
            "reward": entry.outcome.reward,
            "value": chunk.value,
            "next_value": entry.next_value,
            "actions": np.max(np.abs(chunk.actions), initial=0.0),
            "observation.state": np.max(np.abs(chunk.observation.state), initial=0.0),
        }
        beyond = [f"{name} {float(number):g}" for name, number in numbers.items() if not abs(number) <= LARGEST_NUMBER]
        if beyond:
            yield Offender(entry.id, f"numbers must be at most {LARGEST_NUMBER:g}, got {', '.join(beyond)}")


def _impossible(transitions: Sequence[Transition], prepare: Callable[[Sequence[Transition]], object]) -> list[Offender]:
    found = []
    for entry in transitions:
        try:
            prepare([entry])
        except BLAMED as error:
            found.append(Offender(entry.id, f"it cannot be prepared for an update: {error}"))
    return found


def _different(transitions: Sequence[Transition]) -> Iterator[Offender]:
    """Returns the transitions that differ from most others in run, temperature or shapes."""
    keys = [_key(entry) for entry in transitions]
    usual = collections.Counter(keys).most_common(1)[0][0] if keys else None
    for entry, key in zip(transitions, keys, strict=True):
        if key != usual:
            yield Offender(entry.id, f"run, temperature and shapes must be {usual}, as those of most others, got {key}")


def _key(entry: Transition) -> Hashable:
    chunk, seen = entry.chunk, entry.chunk.observation
    arrays = (
        *(chunk.action_tokens, chunk.token_mask, chunk.token_log_probs, chunk.actions),
        *(seen.images, seen.image_mask, seen.prompt_tokens, seen.prompt_mask, seen.state),
    )
    return (entry.id.run_id, chunk.temperature, *(np.shape(array) for array in arrays))


def _without_score(
    transitions: Sequence[Transition], scores: Callable[[Sequence[Transition]], RolloutScores]
) -> Iterator[Offender]:
    try:
        scored = scores(transitions)
    except BLAMED:
        return  # The rollout has no scores, and nothing that was looked at is to blame.
    for place, entry in enumerate(transitions):
        mask = entry.chunk.token_mask
        finite = bool(np.isfinite(scored.token_log_probs[place][mask]).all())
        if scored.chunk_values is not None:
            finite = finite and bool(np.isfinite(scored.chunk_values[place]))
        if not finite:
            yield Offender(entry.id, "the policy must have a finite score for its tokens and actions, got none")
