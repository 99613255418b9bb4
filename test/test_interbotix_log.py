"""Tests what robot_node logs while the drivers are not prepared: a usual start has no warning, and all else has one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rcl_interfaces.msg import Log

from chunk_ppo_ros.nodes.robot.interbotix import problem_log
from chunk_ppo_ros.nodes.robot.interbotix.problem_log import ProblemLog
from chunk_ppo_ros.nodes.robot.start_wait import START_PATIENCE
from chunk_ppo_ros.nodes.wire import qos
from chunk_ppo_ros.robot import aloha
from support.fake_node import FakeNode
from support.interbotix_bench import Bench, running_bench

MISSING = "follower_left: nobody listens to its commands; start the driver of the arm"
PREPARED = "follower_left: its driver is being prepared"
EARLY, LATE = 100.0 + START_PATIENCE / 2, 100.0 + START_PATIENCE


class Lines:
    """A log of problems whose node began at 100 s, and the lines that it has logged."""

    def __init__(self) -> None:
        self.node = FakeNode()
        self.log = ProblemLog(self.node, began=100.0)

    def note(self, problem: str, *, is_first_wait: bool = True, now: float = EARLY) -> list[tuple[str, str]]:
        """Notes a problem and returns the lines that it has added."""
        self.is_gone = self.log.note(problem, is_first_wait=is_first_wait, now=now)
        return self.node.take_lines()


def test_drivers_that_come_soon_are_waited_for_without_a_warning() -> None:
    lines = Lines()
    for problem in (MISSING, PREPARED):
        assert lines.note(problem) == [
            ("info", f"waits for the drivers of the arms, and does not command them yet: {problem}")
        ]
        assert lines.note(problem) == []
        assert not lines.is_gone
    assert lines.note("") == []
    assert lines.is_gone
    assert lines.note("", now=LATE) == []
    assert not lines.is_gone


def test_a_wait_that_lasts_is_warned_of_once() -> None:
    lines = Lines()
    lines.note(MISSING)
    assert lines.note(MISSING, now=LATE) == [("warning", f"the arms are not commanded: {MISSING}")]
    assert lines.note(MISSING, now=LATE + 1.0) == []
    assert lines.note(PREPARED, now=LATE + 2.0) == [("warning", f"the arms are not commanded: {PREPARED}")]


def test_what_is_no_usual_wait_is_warned_of_at_once() -> None:
    lines = Lines()
    assert lines.note(MISSING, is_first_wait=False) == [("warning", f"the arms are not commanded: {MISSING}")]


@pytest.fixture
def bench(interbotix_messages: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A bench with more patience than any machine needs."""
    monkeypatch.setattr(problem_log, "START_PATIENCE", 1000.0)
    with running_bench() as bench:
        yield bench


class Heard:
    """What the node of a bench has logged."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._lines: list[tuple[str, str]] = []
        bench.node.create_subscription(Log, "/rosout", self._on_line, qos.RELIABLE)

    def _on_line(self, line: Log) -> None:
        if line.name == "bench":
            self._lines.append(("warning" if line.level >= Log.WARN else "info", line.msg))

    def until(self, text: str) -> list[tuple[str, str]]:
        """Waits for a line, and returns those with it that were not returned yet."""
        self._bench.until(lambda: any(text in line for _, line in self._lines))
        lines, self._lines = self._lines, []
        return lines


@pytest.mark.graph("drivers")
def test_a_healthy_start_logs_no_warning_and_a_driver_that_goes_is_warned_of(bench: Bench) -> None:
    heard = Heard(bench)
    bench.until_problem("follower_left: nobody listens to")
    for side in aloha.SIDES:
        bench.start(side)
    lines = heard.until("the arms are prepared")
    assert [line for line in lines if line[0] == "warning"] == []
    assert any("waits for the drivers of the arms" in line for _, line in lines)
    bench.stop("left")
    assert {level for level, line in heard.until("follower_left: nobody listens to")} == {"warning"}


@pytest.mark.graph("drivers")
def test_a_driver_that_is_not_as_it_must_be_is_warned_of_at_once(bench: Bench) -> None:
    heard = Heard(bench)
    bench.start("left")
    right = bench.start("right", has_services=False)
    right.motors.modes.update(waist="pwm")
    right.offer_services()
    assert heard.until("must be position, got pwm")[-1][0] == "warning"
