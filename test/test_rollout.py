"""Tests how transitions become a batch: their order, how they are stacked, and where segments end."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from chunk_ppo_ros.rl.rollout import segment_ends, stack_transitions
from support.toy_policy import transition

# Each row has a transition, and whether the next row's transition is not its successor.
SEGMENTS = [
    (transition(0, episode=0, chunk=0), False),
    (transition(1, episode=0, chunk=1, intervened=True), True),
    (transition(2, episode=0, chunk=2), True),  # chunk 3 was discarded
    (transition(4, episode=0, chunk=4, terminated=True), True),
    (transition(5, episode=1, chunk=0, truncated=True), True),
    (transition(6, episode=2, chunk=0), True),  # the episode was discarded, the next is of another
    (transition(9, episode=3, chunk=1), False),
    (transition(10, episode=3, chunk=2), True),  # a human drives the next chunk
    (transition(11, episode=3, chunk=3, human=True), False),
    (transition(12, episode=3, chunk=4), True),  # the end of the rollout
]


def test_segments_end_where_the_next_entry_is_no_successor():
    transitions, expected = zip(*SEGMENTS, strict=True)
    np.testing.assert_array_equal(segment_ends(transitions), expected)


def test_fields_are_stacked_in_the_order_of_sequence_numbers():
    late = transition(8, tokens=(1, 0), reward=2.0, value=3.0, next_value=4.0, terminated=True, intervened=True)
    early = transition(7, tokens=(0, 1), reward=-1.0, log_prob=-2.0, valid=False)
    rollout = stack_transitions([late, early])
    np.testing.assert_array_equal(rollout.sequence_number, [7, 8])
    np.testing.assert_array_equal(rollout.action_tokens, [[0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(rollout.token_log_probs[0], [-2.0, -2.0, 0.0])
    np.testing.assert_array_equal(rollout.token_mask, [[True, True, False]] * 2)
    np.testing.assert_array_equal(rollout.rewards, [-1.0, 2.0])
    np.testing.assert_array_equal(rollout.values, [0.0, 3.0])
    np.testing.assert_array_equal(rollout.next_values, [0.0, 4.0])
    np.testing.assert_array_equal(rollout.discounts, np.float32([0.9, 0.9]))
    np.testing.assert_array_equal(rollout.terminated, [False, True])
    np.testing.assert_array_equal(rollout.policy_mask, [True, False])
    np.testing.assert_array_equal(rollout.valid, [False, True])
    assert rollout.observation.images.shape == (2, 1, 2, 2, 3)
    assert rollout.observation.images.dtype == np.uint8
    assert rollout.temperature == 1.0


def test_what_a_human_drove_is_no_policy_chunk():
    rollout = stack_transitions([transition(0), transition(1, human=True), transition(2, intervened=True)])
    np.testing.assert_array_equal(rollout.policy_mask, [True, False, False])
    np.testing.assert_array_equal(rollout.human_mask, [False, True, False])


def test_take_keeps_the_order_of_the_indices_and_works_in_jit():
    rollout = stack_transitions([transition(number, reward=float(number)) for number in range(4)])
    batch = jax.jit(lambda rollout, indices: rollout.take(indices))(rollout, np.array([3, 1]))
    np.testing.assert_array_equal(batch.rewards, [3.0, 1.0])
    assert batch.observation.state.shape == (2, 1)
    assert batch.temperature.shape == ()


def test_actions_are_normalized_only_where_asked_for():
    plain = stack_transitions([transition(0)])
    assert plain.actions is None and plain.take(np.array([0])).actions is None
    moved = [transition(number) for number in range(2)]
    chunk = dataclasses.replace(moved[1].chunk, actions=np.array([[1.0], [2.0]], np.float32))
    moved[1] = dataclasses.replace(moved[1], chunk=chunk)
    rollout = stack_transitions(moved, normalize=lambda actions, state: 10 * actions + state)
    np.testing.assert_array_equal(rollout.actions, [[[0.0], [0.0]], [[10.0], [20.0]]])
    np.testing.assert_array_equal(rollout.take(np.array([1])).actions, [[[10.0], [20.0]]])


def test_actions_beyond_the_steps_that_were_asked_are_held():
    one = transition(1)
    chunk = dataclasses.replace(one.chunk, actions=np.array([[1.0], [2.0]], np.float32), num_steps_asked=1)
    rollout = stack_transitions([dataclasses.replace(one, chunk=chunk)], normalize=lambda actions, state: 10 * actions)
    np.testing.assert_array_equal(rollout.actions, [[[10.0], [10.0]]])


def _with_tokens(number: int, num_slots: int):
    base = transition(number)
    return dataclasses.replace(base, chunk=dataclasses.replace(base.chunk, action_tokens=np.zeros(num_slots, np.int32)))


@pytest.mark.parametrize(
    ("transitions", "message"),
    [
        ([], "at least one transition"),
        ([transition(1), transition(1)], r"sequence numbers must be unique .* got \[1, 1\]"),
        ([transition(0), transition(1, temperature=0.5)], r"temperatures must be equal .* got \[0.5, 1.0\]"),
        ([transition(0), transition(1, run_id="other")], r"run ids must be equal .* got \['other', 'run'\]"),
        ([transition(0), _with_tokens(1, 5)], r"shapes must be equal .* got \[\(3,\), \(5,\)\]"),
    ],
)
def test_what_does_not_fit_together_is_refused(transitions, message):
    with pytest.raises(ValueError, match=message):
        stack_transitions(transitions)
