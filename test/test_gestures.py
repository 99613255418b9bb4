"""Tests what is read from the grippers of the leaders."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunk_ppo_ros.robot.leaders.gestures import CLOSED, GRIP_TIME, OPEN, SQUEEZE_TIME, GripperGestures

PERIOD = 0.02
AWAY, SHUT = 0.9, 0.05


class Hands:
    """Two hands at the grippers, whose openings are read every 0.02 s."""

    def __init__(self) -> None:
        self.gestures = GripperGestures()
        self.steps = itertools.count(1)

    def hold(self, seconds: float, left: float | None, right: float | None) -> None:
        for _ in range(round(seconds / PERIOD)):
            self.gestures.observe({"left": left, "right": right}, next(self.steps) * PERIOD)

    def both(self, seconds: float, opening: float | None) -> None:
        self.hold(seconds, opening, opening)


def test_both_grippers_must_stay_closed_for_half_a_second() -> None:
    hands = Hands()
    hands.both(0.5, AWAY)
    hands.both(GRIP_TIME, SHUT)
    assert not hands.gestures.is_gripped  # They count as closed after they were for 0.06 s.
    hands.both(0.1, SHUT)
    assert hands.gestures.is_gripped


@pytest.mark.parametrize("other", [AWAY, 0.4, None])
def test_one_gripper_says_nothing(other: float | None) -> None:
    hands = Hands()
    hands.both(0.5, AWAY)
    hands.hold(3.0, SHUT, other)
    assert not hands.gestures.is_gripped


def test_grippers_that_were_left_closed_are_not_a_grip() -> None:
    hands = Hands()
    hands.both(5.0, SHUT)
    assert not hands.gestures.is_gripped
    hands.both(0.2, AWAY)
    hands.both(1.0, SHUT)
    assert hands.gestures.is_gripped
    hands.gestures.restart()
    hands.both(5.0, SHUT)
    assert not hands.gestures.is_gripped


def test_a_flicker_neither_grips_nor_lets_go() -> None:
    hands = Hands()
    for _ in range(50):
        hands.both(0.04, SHUT)
        hands.both(0.02, AWAY)
    assert not hands.gestures.is_gripped
    hands.both(0.2, AWAY)
    hands.both(1.0, SHUT)
    hands.both(0.04, AWAY)
    hands.both(0.02, SHUT)
    assert hands.gestures.is_gripped


def test_a_closed_gripper_may_give_way_a_little() -> None:
    hands = Hands()
    hands.both(0.2, AWAY)
    hands.both(0.3, CLOSED)
    hands.both(0.4, OPEN - 0.01)
    assert hands.gestures.is_gripped


def test_silence_is_no_grip() -> None:
    hands = Hands()
    hands.both(0.2, AWAY)
    hands.both(1.0, SHUT)
    hands.both(0.02, None)
    assert not hands.gestures.is_gripped


def squeeze(hands: Hands, pause: float) -> None:
    hands.both(0.2, SHUT)
    hands.both(pause, AWAY)
    hands.both(0.2, SHUT)


def test_two_squeezes_in_short_order_are_the_gesture() -> None:
    hands = Hands()
    hands.both(0.2, AWAY)
    squeeze(hands, 0.3)
    assert hands.gestures.has_squeezed_twice
    hands.gestures.restart()
    assert not hands.gestures.has_squeezed_twice


def test_two_squeezes_that_are_far_apart_are_not() -> None:
    hands = Hands()
    hands.both(0.2, AWAY)
    squeeze(hands, SQUEEZE_TIME)
    assert not hands.gestures.has_squeezed_twice


def test_the_grip_that_began_the_reset_is_no_squeeze() -> None:
    hands = Hands()
    hands.both(0.2, AWAY)
    hands.both(0.6, SHUT)
    hands.gestures.restart()
    squeeze(hands, 0.3)
    assert not hands.gestures.has_squeezed_twice  # One of them began before.


def test_one_hand_that_squeezes_twice_while_the_other_holds_is_not_the_gesture() -> None:
    hands = Hands()
    hands.both(0.2, AWAY)
    hands.hold(0.2, SHUT, SHUT)
    for _ in range(3):
        hands.hold(0.2, AWAY, SHUT)
        hands.hold(0.2, SHUT, SHUT)
    assert not hands.gestures.has_squeezed_twice


Openings = st.lists(
    st.tuples(
        st.integers(min_value=1, max_value=40), st.sampled_from([SHUT, 0.3, AWAY, None]), st.sampled_from([SHUT, AWAY])
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=200)
@given(Openings)
def test_a_grip_is_half_a_second_in_which_no_gripper_was_seen_open(
    pieces: list[tuple[int, float | None, float]],
) -> None:
    hands, seen = Hands(), []
    for count, left, right in pieces:
        for _ in range(count):
            hands.hold(PERIOD, left, right)
            seen.append((left, right))
            if hands.gestures.is_gripped:
                newest = seen[-round(GRIP_TIME / PERIOD) :]
                flickers = sum(any(each is None or each >= OPEN for each in pair) for pair in newest)
                assert all(pair[0] is not None for pair in newest)
                assert flickers < len(newest) / 2
                assert any(pair[0] == AWAY for pair in seen) and any(pair[1] == AWAY for pair in seen)


@settings(deadline=None, max_examples=200)
@given(Openings)
def test_a_double_squeeze_needs_two_closings_of_each_gripper(pieces: list[tuple[int, float | None, float]]) -> None:
    hands, closings, last = Hands(), [0, 0], [AWAY, AWAY]
    for count, left, right in pieces:
        hands.hold(count * PERIOD, left, right)
        for hand, opening in enumerate((left, right)):
            closings[hand] += opening == SHUT and last[hand] != SHUT
            last[hand] = AWAY if opening is None else opening
    if hands.gestures.has_squeezed_twice:
        assert min(closings) >= 2
