"""Runs a few faults of `make faults`, and checks that the judge of the commands notices what it must."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from faults.chunk_trial import run_trial
from faults.command import main, robot_limits
from faults.counts import Counts, Violation, total
from faults.graph_cells import UNSEEN, Cell, all_cells, sample
from faults.graph_chunks import send_hostile_chunks
from faults.graph_run import running_graph
from faults.result_check import ResultCheck
from faults.stop_watch import StopWatch
from faults.stream_check import Limits, StreamCheck

from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.robot import aloha

HOME = aloha.START_POSE
WAIST = np.eye(14)[0]
PERIOD = 0.02
A_T2 = 0.004
"""The largest change of a step, rad, at 10 rad/s^2 and 50 Hz."""


class Judge:
    """A judge of commands, which starts at the home pose at rest."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.broken: list[str] = []
        limits = Limits.of(robot_limits())
        self.stream = StreamCheck(limits, self.counts, self.report)
        self.stops = StopWatch(limits, self.counts, self.stream, self.report)
        self.now = 1.0
        for side in aloha.SIDES:
            self.stream.note_reading(side, HOME[aloha.side_slice(side)], self.now)
        self.command(HOME)

    def report(self, rule: str, text: str) -> None:
        self.broken.append(rule)

    def command(self, target: np.ndarray | None, *, dt: float = PERIOD, playing: bool = True) -> None:
        self.now += dt
        self.stops.step(target, self.now, playing=playing, leads=False, on_time=True)
        if target is not None:
            self.stream.command(np.asarray(target), self.now, playing=playing)


@pytest.fixture
def judge() -> Judge:
    return Judge()


def speed_up(judge: Judge) -> np.ndarray:
    """Sends commands up to a step of three times the largest change, and returns the last."""
    target = np.array(HOME)
    for step in (1, 2, 3):
        target = target + step * A_T2 * WAIST
        judge.command(target)
    return target


def test_hostile_chunks_break_no_rule_and_a_seed_repeats_them() -> None:
    config = robot_limits()
    counts = run_trial(config, 1, 3, 150)
    assert counts.broken == {}, counts.violations
    assert counts.chunks == 150 and counts.commands > 300 and counts.faults > 150
    assert run_trial(config, 1, 3, 150) == counts != run_trial(config, 2, 3, 150)


def test_the_result_of_a_long_chunk_is_waited_for_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faults.hostile_chunks.KINDS", ("long",))
    for trial in (438, 571):  # Nothing ends their last chunks before 4 s have passed.
        counts = run_trial(robot_limits(), 1, trial, 2)
        assert counts.broken == {}, counts.violations


def test_commands_within_the_limits_break_no_rule(judge: Judge) -> None:
    last = speed_up(judge)
    judge.command(last + 2 * A_T2 * WAIST)
    assert judge.broken == [] and judge.counts.commands == 5


@pytest.mark.parametrize(
    ("step", "dt", "rules"),
    [
        (A_T2 + 1e-6, PERIOD, ["over_acceleration"]),
        (0.031, PERIOD, ["over_velocity", "over_acceleration"]),
        (A_T2, 0.002, ["over_velocity", "over_acceleration"]),
        (0.003, 0.002, []),
    ],
)
def test_a_step_that_is_too_long_is_counted(judge: Judge, step: float, dt: float, rules: list[str]) -> None:
    judge.command(HOME + step * WAIST, dt=dt)
    assert judge.broken == rules


def test_a_step_that_speed_forces_must_be_the_longest_that_it_allows(judge: Judge) -> None:
    last = speed_up(judge)
    judge.command(last + 0.0015 * WAIST, dt=0.001)
    assert (judge.broken, judge.counts.forced) == ([], 1)
    judge.command(last + 0.0015 * WAIST, dt=PERIOD)
    assert judge.broken == []


def test_a_command_outside_the_range_must_move_toward_it(judge: Judge) -> None:
    edge = np.where(WAIST, aloha.UPPER_LIMITS, HOME)
    judge.stream.last = edge
    judge.command(edge + 0.001 * WAIST)
    judge.command(edge + 0.0005 * WAIST)
    assert judge.broken == ["outside_limits"]


def test_a_finger_below_the_table_must_not_go_lower(judge: Judge) -> None:
    shoulder = np.eye(14)[1]
    below = HOME + 1.0 * shoulder  # The arm leans forward, until its fingers are below the table.
    judge.stream.last = below
    judge.command(below - 0.001 * shoulder)
    judge.command(below)
    assert judge.broken == ["outside_limits"]


def test_a_robot_slows_down_to_a_speed_that_was_lowered(judge: Judge) -> None:
    last = speed_up(judge)
    judge.stream.set_max_velocity(0.1)
    judge.command(last + 2 * A_T2 * WAIST)
    assert judge.broken == []
    judge.command(last + 4 * A_T2 * WAIST)
    assert judge.broken == ["over_velocity", "over_acceleration"]


def test_only_a_stop_lets_a_motion_start_from_a_reading(judge: Judge) -> None:
    away = HOME + 0.3 * WAIST
    for side in aloha.SIDES:
        judge.stream.note_reading(side, away[aloha.side_slice(side)], judge.now)
    judge.stream.allow_anchor(confirmed=True)
    judge.command(away)
    assert (judge.broken, judge.counts.anchors) == ([], 1)
    judge.stream.allow_anchor(confirmed=False)
    judge.command(HOME)
    assert judge.broken == ["unconfirmed_leaps"]
    judge.command(away)
    assert judge.broken[1:] == ["over_velocity", "over_acceleration"]


@pytest.mark.parametrize("held", [HOME, None])
def test_a_robot_that_moves_long_after_a_stop_is_counted(judge: Judge, held: np.ndarray | None) -> None:
    for _ in range(10):
        judge.command(held, playing=False)
    judge.command(HOME + 0.001 * WAIST, playing=False)
    assert judge.broken == ["moved_after_stop"]


def test_control_steps_that_are_too_early_for_a_command_do_not_lengthen_a_stop(judge: Judge) -> None:
    target = np.array(HOME)
    for size in range(1, 8):
        target = target + size * A_T2 * WAIST
        judge.command(target)
    for size in range(6, 0, -1):
        judge.command(None, dt=0.012, playing=False)
        target = target + size * A_T2 * WAIST
        judge.command(target, dt=0.008, playing=False)
    assert judge.broken == []


def test_a_robot_that_gives_way_may_take_longer_at_a_lower_speed(judge: Judge) -> None:
    judge.stops.give_way(1.0)  # It has 40 + 67 control steps for it.
    judge.stops.set_max_velocity(0.15)
    target = np.array(HOME)
    for _ in range(200):
        target = target + 0.0009 * WAIST
        judge.command(target, playing=False)
    assert judge.broken == []
    judge.command(None, playing=False)
    judge.stops.set_max_velocity(0.01)
    for _ in range(600):
        judge.command(target, playing=False)
    judge.command(target + 0.0009 * WAIST, playing=False)
    assert judge.broken == ["moved_after_stop"]


def test_the_end_of_the_commands_at_speed_is_counted_once(judge: Judge) -> None:
    speed_up(judge)
    judge.command(None, playing=False)
    judge.command(None, playing=False)
    assert judge.broken == ["stopped_at_speed"]


def test_the_time_from_a_cause_to_the_first_slower_command_is_taken(judge: Judge) -> None:
    last = speed_up(judge)
    judge.stops.cause(judge.now + 0.005, "paused")
    judge.command(last + 3 * A_T2 * WAIST)
    judge.command(last + 5 * A_T2 * WAIST)
    assert np.allclose(judge.counts.hold_ms, [35.0])
    judge.stops.cause(judge.now, "paused")
    for step in (7, 9, 11):
        judge.command(last + step * A_T2 * WAIST)
    assert judge.broken == ["late_holds"]


def test_each_stamp_must_have_one_result() -> None:
    broken: list[str] = []
    check = ResultCheck(lambda rule, text: broken.append(f"{rule} {text[:15]}"))
    for stamp in (1, 2):
        check.sent(stamp)
    for ahead in (0.0, 61.0):
        check.got(ExecutionResult.nothing(Status.REFUSED, "", stamp=1), ahead=ahead, limit=60.0)
    check.finish()
    assert [text.split()[0] for text in broken] == ["double_results", "stamps_ahead", "missing_results"]


def test_counts_are_added_and_a_broken_rule_is_shown_with_its_inputs() -> None:
    parts = [Counts(commands=2, hold_ms=[10.0]), Counts(commands=3, hold_ms=[30.0])]
    for number in range(5):
        parts[1].add(Violation("over_velocity", "--seed 1 --trial 2", f"number {number}", ("a pause",)))
    counts = total(parts)
    assert counts.broken == {"over_velocity": 5} and len(counts.violations) == 3
    assert str(counts.violations[0]) == "over_velocity in --seed 1 --trial 2: number 0\n    a pause"
    assert counts.closing_line() == (
        "faults=0 commands=5 outside_limits=0 over_velocity=5 over_acceleration=0 moved_after_stop=0 double_results=0 "
        "hold_ms_p99=30"
    )


def test_the_command_prints_its_counts_last(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "5", "--chunks", "20", "--cells", "0", "--graph-chunks", "0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "chunks=20 " in lines[0]
    assert all(any(reason in line for line in lines) for reason in UNSEEN.values())
    assert lines[-1].startswith("faults=") and " double_results=0 hold_ms_p99=" in lines[-1]


def test_a_sample_of_cells_has_none_that_cannot_be_reached_and_a_seed_repeats_it() -> None:
    reachable = [cell for cell in all_cells() if not cell.unreachable]
    assert set(sample(None, 1)) == set(reachable) and len(reachable) < len(all_cells())
    assert sample(5, 1) == sample(None, 1)[:5] != sample(5, 2)


@pytest.mark.graph
def test_faults_in_a_graph_break_no_rule() -> None:
    cells = [
        Cell("follower_left", "playing", "minus_pi"),
        Cell("leader_right", "driving", "leaping"),
        Cell("policy_node", "idle", "forged_stamp"),
        Cell("robot_node", "playing", "stopped"),
        Cell("operator", "playing", "emergency_stop"),
        Cell("operator", "driving", "speed_lowered"),
        Cell("robot_node", "playing", "clock_behind"),
    ]
    with running_graph(robot_limits()) as graph:
        for cell in cells:
            graph.run(cell)
        send_hostile_chunks(graph, 12, seed=1)
    counts = graph.judge.counts
    assert counts.broken == {}, counts.violations
    assert counts.faults > 4 and counts.chunks >= 20 and counts.commands > 30
