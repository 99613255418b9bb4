"""Tests what keeps failures in a row from stopping a graph for good: pauses between refusals, and simulated repairs."""

from __future__ import annotations

import pytest

from chunk_ppo_ros.agent.next_step.refusals import PAUSE, Refusals
from chunk_ppo_ros.nodes.reward.state.simulated_repair import REPAIR_TIME, SimulatedRepair


def test_the_policy_waits_from_the_second_refusal_in_a_row_on() -> None:
    refusals = Refusals()
    refusals.note(refused=True, now=10.0)
    assert not refusals.must_wait(10.0)
    refusals.note(refused=True, now=10.1)
    assert refusals.must_wait(10.1) and refusals.must_wait(10.1 + 0.9 * PAUSE)
    assert not refusals.must_wait(10.1 + PAUSE)


def test_a_chunk_that_was_executed_ends_the_row() -> None:
    refusals = Refusals()
    for refused in (True, False, True):
        refusals.note(refused=refused, now=10.0)
    assert not refusals.must_wait(10.0)


def test_a_simulated_robot_is_tried_again_after_a_while() -> None:
    repair = SimulatedRepair(is_real=False)
    assert not repair.is_over(paused=True, now=5.0)
    assert not repair.is_over(paused=True, now=5.0 + 0.9 * REPAIR_TIME)
    assert repair.is_over(paused=True, now=5.0 + REPAIR_TIME)


def test_each_pause_lasts_as_long() -> None:
    repair = SimulatedRepair(is_real=False)
    for now, paused in ((5.0, True), (20.0, False), (21.0, True)):
        assert not repair.is_over(paused=paused, now=now)
    assert not repair.is_over(paused=True, now=5.0 + REPAIR_TIME)


@pytest.mark.parametrize("now", [5.0, 5.0 + REPAIR_TIME, 1e6])
def test_a_real_robot_waits_for_its_operator(now: float) -> None:
    repair = SimulatedRepair(is_real=True)
    repair.is_over(paused=True, now=0.0)
    assert not repair.is_over(paused=True, now=now)
