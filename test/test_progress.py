"""Tests bars of progress on a terminal, plain lines where there is none, and the end of a run."""

from __future__ import annotations

import datetime
import io
from typing import Any

import pytest

from chunk_ppo_ros.config.flags.program import SHOWS_PROGRESS
from chunk_ppo_ros.reporting.progress import ProgressBar
from chunk_ppo_ros.reporting.progress.durations import duration_text
from chunk_ppo_ros.reporting.progress.run_estimate import RunEstimate
from support.fresh_python import run_program


class Stream(io.StringIO):
    """A stream that is a terminal or not."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


class Clock:
    """A clock that tests set, s."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.delenv(SHOWS_PROGRESS, raising=False)
    return Clock()


def make_bar(stream: Stream, clock: Clock, **settings: Any) -> ProgressBar:
    return ProgressBar("reading", **{"unit": "chunk", "total": 100, "stream": stream, "clock": clock, **settings})


def test_a_short_work_is_quiet_where_no_terminal_is(clock: Clock) -> None:
    stream = Stream(terminal=False)
    with make_bar(stream, clock) as bar:
        for _ in range(100):
            clock.time += 0.25
            bar.update()
    assert stream.getvalue() == ""


def test_a_long_work_says_now_and_then_how_far_it_is_in_whole_lines(clock: Clock) -> None:
    stream = Stream(terminal=False)
    with make_bar(stream, clock) as bar:
        for _ in range(100):
            clock.time += 0.7
            bar.update()
    assert stream.getvalue() == (
        "reading: 43/100 chunks, 1.4 a second, 40 s left\nreading: 86/100 chunks, 1.4 a second, 10 s left\n"
    )


def test_a_slow_work_says_how_long_each_takes(clock: Clock) -> None:
    stream = Stream(terminal=False)
    with make_bar(stream, clock, total=None) as bar:
        clock.time += 60.0
        bar.update(2)
    with make_bar(stream, clock, unit="minibatch", total=None) as bar:
        clock.time += 60.0
        bar.update(2)
    assert stream.getvalue() == "reading: 2 chunks, 30.0 s each\nreading: 2 minibatches, 30.0 s each\n"


def test_what_was_done_before_does_not_count_for_the_rate(clock: Clock) -> None:
    stream = Stream(terminal=False)
    with make_bar(stream, clock, initial=50) as bar:
        clock.time += 40.0
        bar.update(10)
    assert stream.getvalue() == "reading: 60/100 chunks, 4.0 s each, 2 min 40 s left\n"


def test_compiling_is_said_and_left_out_of_the_rate(clock: Clock) -> None:
    stream = Stream(terminal=False)
    with make_bar(stream, clock, compiles=True) as bar:
        assert stream.getvalue() == "reading: compiling, which takes seconds to a minute\n"
        clock.time += 29.0  # the first chunk
        bar.update()
        clock.time += 10.0
        bar.update(20)
    assert stream.getvalue().splitlines()[1] == "reading: 21/100 chunks, 2.0 a second, 40 s left"


def test_a_terminal_gets_a_bar_that_says_what_it_waits_for(clock: Clock) -> None:
    stream = Stream(terminal=True)
    bar = make_bar(stream, clock, compiles=True)
    assert "\rreading (compiling, which takes seconds to a minute):" in stream.getvalue()
    bar.update()
    bar.set(7, 20)
    bar.note("loss=0.5")
    bar.close()
    assert (bar.done, bar.total) == (7, 20)
    assert stream.getvalue().endswith("\r")  # The bar is gone, and a line can follow.


def test_a_supervisor_that_shows_bars_gets_them_through_its_pipe(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SHOWS_PROGRESS, "1")
    stream = Stream(terminal=False)
    make_bar(stream, clock).close()
    assert "\rreading:   0%" in stream.getvalue()


def test_no_carriage_return_comes_where_standard_error_is_no_terminal() -> None:
    program = (
        "import time\n"
        "from chunk_ppo_ros.reporting.progress import progress_bar\n"
        "with progress_bar('reading', unit='chunk', total=50, compiles=True) as bar:\n"
        "    for _ in range(50):\n"
        "        time.sleep(0.005)\n"
        "        bar.update()\n"
    )
    done = run_program(program)
    assert done.stderr == "reading: compiling, which takes seconds to a minute\n"


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1.0, "0 s"), (48.4, "48 s"), (60.0, "1 min 00 s"), (7499.0, "2 h 04 min")]
)
def test_a_duration_has_two_units(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_the_end_of_a_run_is_known_after_the_second_update(clock: Clock) -> None:
    morning = datetime.datetime(2026, 11, 28, 9, 30)
    estimate = RunEstimate(1000, clock=clock, now=lambda: morning)
    assert estimate.is_first
    clock.time += 60.0  # XLA compiles in the first update.
    assert estimate.after_update(100) == ""
    assert not estimate.is_first
    clock.time += 20.0
    assert estimate.after_update(200) == "about 2 min 40 s left, until 09:32"
    clock.time += 160.0
    assert estimate.after_update(1000) == "done"


def test_an_update_that_begins_is_made_to_its_end(clock: Clock) -> None:
    estimate = RunEstimate(250, clock=clock, now=lambda: datetime.datetime(2026, 11, 28, 9, 30))
    for steps in (100, 200):
        clock.time += 20.0
        text = estimate.after_update(steps)
    assert text == "about 20 s left, until 09:30"


def test_a_run_that_goes_beyond_its_length_says_why(clock: Clock) -> None:
    assert RunEstimate(1024, clock=clock).after_update(1524) == (
        "done; the last rollout is a whole one, which makes 500 steps more"
    )


def test_a_resumed_run_does_not_count_the_steps_of_earlier_starts(clock: Clock) -> None:
    estimate = RunEstimate(1000, clock=clock, now=lambda: datetime.datetime(2026, 11, 28, 23, 59))
    clock.time += 30.0
    estimate.after_update(900)
    clock.time += 30.0
    assert estimate.after_update(950) == "about 30 s left, until 23:59"


@pytest.mark.parametrize(
    ("total", "text"),
    [(600, "about 20 h 00 min left, until 2026-11-29 05:30"), (10**15, "more than a year left")],
)
def test_a_run_of_days_says_the_day_and_one_without_an_end_says_so(clock: Clock, total: int, text: str) -> None:
    """A robot may be trained until somebody stops it, by a number of steps that is never reached."""
    estimate = RunEstimate(total, clock=clock, now=lambda: datetime.datetime(2026, 11, 28, 9, 30))
    estimate.after_update(100)
    clock.time += 5 * 3600.0
    assert estimate.after_update(200) == text
