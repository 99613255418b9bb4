"""Tests for how long the first update of stored transitions waits for the reports of reward_node."""

from __future__ import annotations

import pytest

from chunk_ppo_ros.nodes.trainer.intake.first_reports import ARRIVAL_TIME, LONGEST_WAIT, FirstReports


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reports(clock: Clock) -> FirstReports:
    return FirstReports(clock=clock)


def test_an_update_of_a_run_without_stored_transitions_does_not_wait(reports: FirstReports) -> None:
    assert not reports.must_wait()
    assert not reports.waits


def test_an_update_waits_until_the_reports_have_arrived(reports: FirstReports, clock: Clock) -> None:
    reports.expect("run")
    assert not reports.waits
    assert reports.must_wait()
    reports.note("another run")
    clock.now += 1.0
    reports.note("run")
    assert reports.must_wait()
    assert reports.waits
    clock.now += ARRIVAL_TIME
    reports.note("run")
    assert not reports.must_wait()
    assert not reports.waits


def test_an_update_does_not_wait_where_the_reports_were_heard_before(reports: FirstReports, clock: Clock) -> None:
    reports.note("run")
    clock.now += ARRIVAL_TIME
    reports.expect("run")
    assert not reports.must_wait()


def test_an_update_goes_on_where_there_is_no_reward_node(reports: FirstReports, clock: Clock) -> None:
    reports.expect("run")
    clock.now += 60.0  # The rollout is not complete yet.
    assert reports.must_wait()
    clock.now += LONGEST_WAIT
    assert not reports.must_wait()
