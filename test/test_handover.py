"""Tests what the leaders do from a takeover to the hand-back, as a table of what happens and what follows."""

from __future__ import annotations

import pytest
from chunk_ppo_msgs.msg import TakeoverState

from chunk_ppo_ros.robot.leaders.handover import Handover, LeaderReport, Leaders, Order

DONE = LeaderReport(is_done=True)
BUSY = LeaderReport(waits_for="its driver is being prepared")
FAILED = LeaderReport(problem="leader_left: its driver was started again")


def handover(*, until: str = "", aligns: bool = True) -> Handover:
    """Returns a handover in a phase that a takeover or a hand-back leads to."""
    made = Handover(aligns=aligns)
    if not until:
        return made
    made.take_over()
    for phase in ("ALIGNS", "AWAITS_GRIP", "LETS_GO", "DRIVES", "CATCHES", "HOLDS"):
        if phase == until:
            return made
        if phase == "AWAITS_GRIP":
            assert made.grip() == ""
        elif phase == "DRIVES":
            made.give_back()
        else:
            made.step((DONE, DONE), halted="")
    raise ValueError(until)


def seen(made: Handover) -> tuple[Leaders, Order, bool]:
    return made.leaders, made.order, made.follows


def test_the_values_are_those_of_the_message() -> None:
    assert {each.name: each.value for each in Leaders} == {
        name: getattr(TakeoverState, name) for name in ("FREE", "ALIGNING", "HOLDING", "LIMP")
    }


def test_a_takeover_and_a_hand_back() -> None:
    made = handover()
    assert (seen(made), made.message) == ((Leaders.FREE, Order.NOTHING, False), "")
    made.take_over()
    assert seen(made) == (Leaders.ALIGNING, Order.ALIGN, False)
    made.step((DONE, BUSY), halted="")
    assert seen(made) == (Leaders.ALIGNING, Order.ALIGN, False)
    assert "keep clear of them; its driver is being prepared" in made.message
    made.step((DONE, DONE), halted="")
    assert seen(made) == (Leaders.HOLDING, Order.HOLD, False)
    assert made.awaits_grip
    assert "leaders_gripped" in made.message
    assert made.grip() == ""
    assert seen(made) == (Leaders.HOLDING, Order.LET_GO, False)
    made.step((DONE, DONE), halted="")
    assert (seen(made), made.message) == ((Leaders.LIMP, Order.NOTHING, True), "")
    made.give_back()
    assert seen(made) == (Leaders.HOLDING, Order.HOLD, False)
    assert "keep holding the leaders" in made.message
    made.step((DONE, DONE), halted="")
    assert seen(made) == (Leaders.HOLDING, Order.HOLD, False)
    assert "release_leaders" in made.message
    assert made.release() == ""
    assert seen(made) == (Leaders.HOLDING, Order.LET_GO, False)
    made.step((DONE, DONE), halted="")
    assert (seen(made), made.message) == ((Leaders.FREE, Order.NOTHING, False), "")


@pytest.mark.parametrize("phase", ["ALIGNS", "AWAITS_GRIP", "LETS_GO", "DRIVES"])
def test_a_hand_back_at_any_time_holds_the_leaders(phase: str) -> None:
    made = handover(until=phase)
    made.give_back()
    assert seen(made) == (Leaders.HOLDING, Order.HOLD, False)


@pytest.mark.parametrize("phase", ["ALIGNS", "AWAITS_GRIP", "LETS_GO", "CATCHES", "HOLDS"])
def test_leaders_with_a_problem_are_left_alone_and_it_is_said(phase: str) -> None:
    made = handover(until=phase)
    made.step((DONE, FAILED), halted="")
    assert seen(made) == (Leaders.FREE, Order.NOTHING, False)
    assert "left alone: leader_left: its driver was started again" in made.message
    made.step((DONE, DONE), halted="")
    assert "left alone" in made.message
    made.take_over()
    assert seen(made) == (Leaders.ALIGNING, Order.ALIGN, False)
    assert "left alone" not in made.message


def test_a_hand_back_after_a_problem_leaves_the_leaders_alone() -> None:
    made = handover(until="ALIGNS")
    made.step((DONE, FAILED), halted="")
    made.give_back()
    assert seen(made) == (Leaders.FREE, Order.NOTHING, False)
    assert made.message.startswith("leaders that were left alone may still have torque; to switch it off, support them")


@pytest.mark.parametrize("phase", ["AWAITS_GRIP", "LETS_GO", "DRIVES"])
def test_to_take_over_again_changes_nothing(phase: str) -> None:
    made = handover(until=phase)
    before = seen(made)
    made.take_over()
    assert seen(made) == before


@pytest.mark.parametrize("phase", ["CATCHES", "HOLDS"])
def test_leaders_that_hold_are_aligned_at_the_next_takeover(phase: str) -> None:
    made = handover(until=phase)
    made.take_over()
    assert seen(made) == (Leaders.ALIGNING, Order.ALIGN, False)


def test_a_stop_holds_the_leaders_on_their_way_and_no_grip_counts() -> None:
    made = handover(until="ALIGNS")
    made.step((DONE, DONE), halted="emergency stop: by the service")
    assert seen(made) == (Leaders.ALIGNING, Order.WAIT, False)
    assert "emergency stop" in made.message
    made.step((BUSY, BUSY), halted="")
    assert made.order is Order.ALIGN
    waiting = handover(until="AWAITS_GRIP")
    waiting.step((DONE, DONE), halted="paused")
    assert waiting.grip() == "the robot must not move: paused"
    waiting.step((DONE, DONE), halted="")
    assert waiting.grip() == ""


@pytest.mark.parametrize("aligns", [True, False])
def test_leaders_that_were_followed_at_a_stop_must_be_gripped_again(aligns: bool) -> None:
    """The person may have let them go, to run to the robot."""
    made = handover(until="DRIVES") if aligns else handover(aligns=False)
    if not aligns:
        made.take_over(needs_grip=True)
        assert made.grip() == ""
    assert made.follows
    made.step((DONE, DONE), halted="emergency stop")
    assert (made.follows, made.takes_grip, made.order) == (False, False, Order.NOTHING)
    assert "emergency stop" in made.grip()
    made.step((DONE, DONE), halted="")
    assert (made.follows, made.takes_grip) == (False, True)
    assert "leaders_gripped" in made.message
    assert made.grip() == ""
    assert (made.leaders, made.follows) == (Leaders.LIMP, True)


def test_a_hand_back_after_a_stop_of_limp_leaders_holds_them() -> None:
    made = handover(until="DRIVES")
    made.step((DONE, DONE), halted="emergency stop")
    assert made.leaders is Leaders.LIMP
    made.give_back()
    assert seen(made) == (Leaders.HOLDING, Order.HOLD, False)


def test_leaders_that_are_brought_by_hand_are_followed_after_a_stop_as_before() -> None:
    made = handover(aligns=False)
    made.take_over()
    made.step((DONE,), halted="paused")
    assert made.follows


@pytest.mark.parametrize(("phase", "text"), [("ALIGNS", "takeover with data: false"), ("CATCHES", "release_leaders")])
def test_a_wait_for_a_driver_names_the_way_out(phase: str, text: str) -> None:
    made = handover(until=phase)
    assert text not in made.message
    made.step((DONE, LeaderReport(waits_for="leader_left: no joint states")), halted="")
    assert text in made.message


@pytest.mark.parametrize("phase", ["LETS_GO", "CATCHES"])
def test_a_stop_does_not_keep_leaders_from_being_let_go_or_held(phase: str) -> None:
    made = handover(until=phase)
    made.step((DONE, DONE), halted="paused")
    assert seen(made) == seen(handover(until="DRIVES" if phase == "LETS_GO" else "HOLDS"))


def test_what_is_refused_says_why() -> None:
    assert "no grip is waited for" in handover().grip()
    assert "keep clear" in handover(until="ALIGNS").grip()
    assert "a human drives; hand back first" in handover(until="DRIVES").release()
    assert "robot.align_leaders" in handover(aligns=False).release()


def test_leaders_that_are_not_aligned_are_followed_at_once() -> None:
    made = handover(aligns=False)
    made.take_over()
    assert seen(made) == (Leaders.LIMP, Order.NOTHING, True)
    made.give_back()
    assert seen(made) == (Leaders.FREE, Order.NOTHING, False)


def test_leaders_that_are_not_aligned_can_need_a_grip_too() -> None:
    made = handover(aligns=False)
    made.take_over(needs_grip=True)
    made.step((DONE,), halted="")
    assert seen(made) == (Leaders.FREE, Order.NOTHING, False)
    assert "bring the leaders to the followers" in made.message
    assert made.grip() == ""
    assert seen(made) == (Leaders.LIMP, Order.NOTHING, True)


def test_to_hand_back_without_a_takeover_changes_nothing() -> None:
    made = handover()
    made.give_back()
    assert (seen(made), made.message) == ((Leaders.FREE, Order.NOTHING, False), "")
