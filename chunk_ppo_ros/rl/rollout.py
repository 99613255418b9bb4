"""Stacks the transitions of a rollout into arrays, and decides where segments end.

`rewards/` assembles the transitions, and the trainer decides which ones make up a rollout.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import flax.struct
import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from chunk_ppo_ros.core import types
from chunk_ppo_ros.core_jax.arrays import AnyArray, Scalar, Tree
from chunk_ppo_ros.robot.chunk_length import held_after

Normalize = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""The type of a function of (joint targets [H, D], state [S]) that returns normalized targets, float32 [H, D]."""


@flax.struct.dataclass
class RolloutBatch:
    """N transitions in the order in which they happened.

    Attributes:
        observation: a `ModelObservation` with the observation that each chunk was sampled from, or what `prepare` made
            of it; its leaves have the leading axis [N].
        action_tokens: model ids.
        token_mask: true where a token was sampled.
        token_log_probs: log-probability of each token as recorded while sampling, nats.
        temperature: temperature of all chunks.
        actions: normalized joint targets, in which the last step that was to be executed is repeated to the end; None
            where no V(s, a) reads them.
        values: the values that were recorded while acting, in units of reward; V(s), or V(s, a) where `ppo.gae_value`
            says so.
        next_values: values of the same kind after each chunk.
        rewards: the reward of each chunk, summed over its executed steps.
        discounts: the factor on `next_values` before termination.
        terminated: whether an end state was reached.
        segment_end: whether the next entry does not continue this one.
        policy_mask: false where a human took over or drove; such a chunk does not count in the policy loss.
        human_mask: true where a human drove the whole chunk; such a chunk can only be imitated.
        valid: false where the tokens stood for no actions and the robot held its pose; such a chunk counts like any
            other.
        sequence_number: number of the chunk within its run.
    """

    observation: Tree
    action_tokens: Int[AnyArray, "N T"]
    token_mask: Bool[AnyArray, "N T"]
    token_log_probs: Float[AnyArray, "N T"]
    temperature: Scalar
    actions: Float[AnyArray, "N H D"] | None
    values: Float[AnyArray, "N"]
    next_values: Float[AnyArray, "N"]
    rewards: Float[AnyArray, "N"]
    discounts: Float[AnyArray, "N"]
    terminated: Bool[AnyArray, "N"]
    segment_end: Bool[AnyArray, "N"]
    policy_mask: Bool[AnyArray, "N"]
    human_mask: Bool[AnyArray, "N"]
    valid: Bool[AnyArray, "N"]
    sequence_number: Int[AnyArray, "N"]

    def take(self, indices: Int[AnyArray, "B"]) -> RolloutBatch:
        """Returns the entries at `indices`, in that order. `segment_end` of the result has no meaning."""
        return jax.tree.map(lambda leaf: leaf[indices] if leaf.ndim else leaf, self)


def stack_transitions(transitions: Sequence[types.Transition], *, normalize: Normalize | None = None) -> RolloutBatch:
    """Returns the transitions as one `RolloutBatch` of numpy arrays, sorted by sender and sequence number.

    Args:
        transitions: at least one transition, in any order.
        normalize: function that makes `actions` of joint targets; None leaves `actions` out.

    Raises:
        ValueError: if there is no transition, a sender's sequence number occurs twice, or transitions differ in
            shape, run or temperature.
    """
    if not transitions:
        raise ValueError("a rollout must have at least one transition, got none; collect before the update")
    ordered = in_order(transitions)
    chunks = [transition.chunk for transition in ordered]
    outcomes = [transition.outcome for transition in ordered]
    numbers = [transition.id.sequence_number for transition in ordered]
    _check_same("run ids", [transition.id.run_id for transition in ordered])
    _check_same("temperatures", [chunk.temperature for chunk in chunks])
    if len({transition.id.key for transition in ordered}) != len(ordered):
        raise ValueError(f"sequence numbers must be unique within a rollout, got {numbers}; drop duplicates on arrival")
    return RolloutBatch(
        observation=jax.tree.map(_stack, *(chunk.observation for chunk in chunks)),
        action_tokens=_stack(*(chunk.action_tokens for chunk in chunks)).astype(np.int32),
        token_mask=_stack(*(chunk.token_mask for chunk in chunks)).astype(bool),
        token_log_probs=_stack(*(chunk.token_log_probs for chunk in chunks)).astype(np.float32),
        temperature=np.float32(chunks[0].temperature),
        actions=normalize and _stack(*(normalize(_as_executed(chunk), chunk.observation.state) for chunk in chunks)),
        values=np.array([chunk.value for chunk in chunks], np.float32),
        next_values=np.array([transition.next_value for transition in ordered], np.float32),
        rewards=np.array([outcome.reward for outcome in outcomes], np.float32),
        discounts=np.array([transition.discount for transition in ordered], np.float32),
        terminated=np.array([outcome.terminated for outcome in outcomes]),
        segment_end=segment_ends(ordered),
        policy_mask=np.array([not (entry.outcome.cut_by_takeover or entry.chunk.human_driven) for entry in ordered]),
        human_mask=np.array([chunk.human_driven for chunk in chunks]),
        valid=np.array([chunk.valid for chunk in chunks]),
        sequence_number=np.array(numbers, np.int32),
    )


def in_order(transitions: Sequence[types.Transition]) -> list[types.Transition]:
    """Returns the transitions in the order that a `RolloutBatch` has them: by sender and sequence number."""
    return sorted(transitions, key=lambda transition: transition.id.key)


def segment_ends(transitions: Sequence[types.Transition]) -> Bool[np.ndarray, "N"]:
    """Returns true for each entry t after which the next entry does not continue chunk t.

    There are three reasons. Chunk t terminated, was truncated or was taken over. Or a human drives the next entry,
    whose results are not the policy's. Or the next entry is of another robot or episode, or not the next chunk of this
    one because the chunk between them was discarded. The last entry is always true.
    """
    ends = [
        before.outcome.terminated
        or before.outcome.truncated
        or before.outcome.cut_by_takeover
        or after.chunk.human_driven
        or (after.id.run_id, after.id.sender, after.id.episode, after.id.chunk)
        != (before.id.run_id, before.id.sender, before.id.episode, before.id.chunk + 1)
        for before, after in itertools.pairwise(transitions)
    ]
    return np.array([*ends, True])


def _as_executed(chunk: types.SampledChunk) -> np.ndarray:
    return held_after(chunk.actions, chunk.num_steps_asked, horizon=len(chunk.actions))


def _stack(*arrays: np.ndarray) -> np.ndarray:
    _check_same("shapes", [np.shape(array) for array in arrays])
    return np.stack(arrays)


def _check_same(what: str, values: Sequence[object]) -> None:
    if len(set(values)) != 1:
        raise ValueError(
            f"{what} must be equal within a rollout, got {sorted(set(values), key=str)}; collect them apart"
        )
