"""Tests the chunk player as a state machine.

In a control period of 0.02 s a joint moves 0.0628318 rad at the speed limit.
"""

from __future__ import annotations

import numpy as np
import pytest

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import Cause, ExecutionResult, Status
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.arm_trajectory import ArmTrajectory
from chunk_ppo_ros.robot.gate.trust_rule import TrustRule
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer
from chunk_ppo_ros.robot.player.chunks.result_log import REMEMBERED_STAMPS
from support.player_inputs import DT, HOME, REACH, halves, observe, only, ramp, send

SECOND = 1_000_000_000  # ns
SIMULATED = TrustRule.of(RobotConfig(), simulated=True)


def make_player(*, lockstep: bool = False) -> ChunkPlayer:
    return ChunkPlayer(RobotConfig(), state_timeout=0.5, states_on_demand=lockstep, trust=SIMULATED)


def play(player: ChunkPlayer, start: float) -> tuple[list[np.ndarray], list[ExecutionResult]]:
    """Ticks until the chunk has ended, with fresh joint states before every tick."""
    sent, now = [], start
    while player.playing:
        now += DT
        observe(player, now)
        target = player.tick(now)
        if target is not None:
            sent.append(target)
    return sent, player.take_results()


def brake(player: ChunkPlayer, start: float) -> list[np.ndarray]:
    """Returns the commands from a time until there is none, without joint states."""
    targets = []
    while (target := player.tick(start)) is not None:
        targets.append(target)
        start += DT
    return targets


def test_a_chunk_is_sent_step_by_step_and_reported_once() -> None:
    player = make_player()
    observe(player, 1.0)
    send(player, ramp(4, 0.01), now=1.0)
    sent, results = play(player, 1.0)
    np.testing.assert_allclose(sent, ramp(4, 0.01))
    assert only(results) == ExecutionResult(
        status=Status.EXECUTED, num_steps=4, stamp=1, start_error=0.0, duration=pytest.approx(0.08)
    )


def test_a_chunk_lasts_from_its_first_command_to_a_period_after_its_last() -> None:
    player = make_player()
    observe(player, 1.0)
    send(player, ramp(3, 0.01), now=1.0)
    for milliseconds in (100, 150, 180):  # The second step comes late.
        player.tick(1.0 + 1e-3 * milliseconds, stamp=10 * SECOND - milliseconds)  # The ROS clock is set back.
    player.tick(1.2)
    assert only(player.take_results()).duration == pytest.approx(0.08 + 0.02)


def test_in_lockstep_a_chunk_lasts_as_long_as_simulated_time() -> None:
    player = make_player(lockstep=True)
    observe(player, 1.0)
    send(player, ramp(2, 0.01), now=1.0)
    for step in range(3):
        observe(player, 1.0 + step)
        player.tick(1.0 + step, stamp=SECOND + 20_000_000 * step)
    assert only(player.take_results()).duration == pytest.approx(0.04)


@pytest.mark.parametrize(("right", "expected"), [(3.0, 12.0), (None, None)])
def test_effort_is_summed_over_the_steps_that_were_executed(right: float | None, expected: float | None) -> None:
    player = make_player()
    efforts = {"left": 1.0, "right": right}

    def feel(now: float, factor: float) -> None:
        for side, effort in efforts.items():
            reported = None if effort is None else factor * effort
            state = HOME[aloha.side_slice(side)]
            player.observe(side, state, stamp=round(now * 1e9), now=now, effort=reported)

    feel(1.0, 100.0)  # before the first step: does not count
    send(player, ramp(3, 0.01), now=1.0)
    for step in range(4):
        player.tick(1.0 + step * DT)  # step 0, 1 and 2 are sent, then the chunk ends
        feel(1.0 + (step + 0.5) * DT, step + 1.0)
    # The arms have the mean (1 + 3) / 2, which is multiplied by 1, 2 and 3.
    assert only(player.take_results()).effort == expected


def test_fast_steps_are_clamped_and_counted() -> None:
    player = make_player()
    observe(player, 1.0)
    # The chunk asks for 0.1, 0.2 and 0.3 rad. The player sends 1, 2 and 3 times 0.0628318 rad. The largest gap is the
    # last one, 0.3 - 0.1884954.
    send(player, ramp(3, 0.1), now=1.0)
    sent, results = play(player, 1.0)
    np.testing.assert_allclose(np.array(sent)[:, 0], REACH * np.arange(1, 4))
    result = only(results)
    assert (result.num_steps, result.num_clamped_steps) == (3, 3)
    assert result.causes.tolist() == [Cause.VELOCITY] * 3
    np.testing.assert_array_equal(result.commanded, np.array(sent, np.float32))
    assert result.max_clamp == pytest.approx(0.3 - 3 * REACH)


def test_speed_is_limited_across_the_border_of_two_chunks() -> None:
    player = make_player()
    observe(player, 1.0)
    send(player, ramp(1, 0.05), now=1.0)
    play(player, 1.0)
    # The motors hold +0.05 and the measured position is still 0. The way from +0.05 back to -0.05 is 0.1, more than one
    # step allows.
    send(player, ramp(1, -0.05), now=1.1, stamp=2)
    sent, _ = play(player, 1.1)
    assert sent[0][0] == pytest.approx(0.05 - REACH)


def test_after_a_pause_speed_is_limited_from_the_measured_position() -> None:
    player = make_player()
    observe(player, 1.0)
    send(player, ramp(1, 0.05), now=1.0)
    play(player, 1.0)
    player.suspend("paused")
    player.resume()
    send(player, ramp(1, -0.05), now=1.1, stamp=2)
    sent, _ = play(player, 1.1)
    assert sent[0][0] == pytest.approx(-0.05)


def test_half_a_pair_is_refused_after_the_timeout() -> None:
    player = make_player()
    observe(player, 1.0)
    player.receive("left", halves(ramp(2, 0.0))["left"], age=0.0, now=1.0)
    player.watch(1.2)
    assert player.take_results() == []
    player.watch(1.21)
    result = only(player.take_results())
    assert result.status is Status.REFUSED
    assert "right arm's trajectory did not come within 0.2 s" in result.message
    player.receive("right", halves(ramp(2, 0.0))["right"], age=0.0, now=1.3)
    assert not player.playing
    player.watch(9.0)
    assert player.take_results() == []


def test_a_pair_that_comes_again_is_not_played_again() -> None:
    player = make_player()
    observe(player, 1.0)
    for _ in range(2):
        send(player, ramp(1, 0.01), now=1.0)
        play(player, 1.0)
    send(player, ramp(1, 0.01), now=1.0)
    assert not player.playing
    assert player.take_results() == []


def test_the_newest_stamps_are_remembered() -> None:
    player = make_player()
    for stamp in range(1, REMEMBERED_STAMPS + 2):
        player.refuse(stamp, "unreadable")
    assert len(player.take_results()) == REMEMBERED_STAMPS + 1
    for stamp in (2, 1):  # The first was forgotten, so its half is waited for once more.
        player.receive("left", halves(ramp(2, 0.0), stamp)["left"], age=0.0, now=1.0)
        player.watch(2.0)
        assert [result.stamp for result in player.take_results()] == ([1] if stamp == 1 else [])


def test_an_unreadable_half_refuses_the_pair_once() -> None:
    player = make_player()
    observe(player, 1.0)
    player.receive("left", halves(ramp(2, 0.0))["left"], age=0.0, now=1.0)
    player.refuse(1, "joint names must be right")
    player.watch(9.0)
    assert only(player.take_results()) == ExecutionResult.nothing(Status.REFUSED, "joint names must be right", stamp=1)


@pytest.mark.parametrize(
    ("right", "text"),
    [
        (halves(ramp(3, 0.0))["right"], "equally many points, got 2 left and 3 right"),
        (ArmTrajectory(1, np.array([0.02, 0.05]), np.zeros((2, 7))), "same times"),
    ],
)
def test_halves_that_do_not_fit_are_refused(right: ArmTrajectory, text: str) -> None:
    player = make_player()
    observe(player, 1.0)
    player.receive("left", halves(ramp(2, 0.0))["left"], age=0.0, now=1.0)
    player.receive("right", right, age=0.0, now=1.0)
    assert text in only(player.take_results()).message


@pytest.mark.parametrize(
    ("targets", "age", "text"),
    [
        (ramp(2, np.nan), 0.0, "must be finite"),
        (ramp(2, 0.6), 0.0, "robot.max_start_jump"),
        (ramp(2, 0.0), 1.1, "robot.chunk_deadline"),
    ],
)
def test_unsafe_chunks_are_refused_without_a_step(targets: np.ndarray, age: float, text: str) -> None:
    player = make_player()
    observe(player, 1.0)
    send(player, targets, now=1.0, age=age)
    assert player.tick(1.0) is None
    result = only(player.take_results())
    assert (result.status, result.num_steps) == (Status.REFUSED, 0)
    assert text in result.message


def test_the_older_half_decides_the_age() -> None:
    player = make_player()
    observe(player, 1.0)
    for side, half in halves(ramp(2, 0.0)).items():
        player.receive(side, half, age={"left": 0.95, "right": 1.05}[side], now=1.0)
    assert "age of 1.050 s" in only(player.take_results()).message


def test_a_second_chunk_is_refused_while_one_plays() -> None:
    player = make_player()
    observe(player, 1.0)
    send(player, ramp(2, 0.01), now=1.0)
    send(player, ramp(2, 0.01), now=1.0, stamp=2)
    assert only(player.take_results()).message.startswith("a chunk is already playing")
    _, results = play(player, 1.0)
    assert (only(results).stamp, only(results).status) == (1, Status.EXECUTED)


def test_no_chunk_before_the_first_joint_states() -> None:
    player = make_player()
    player.observe("left", HOME[:7], stamp=1, now=1.0)
    send(player, ramp(2, 0.0), now=1.0)
    assert "joint states of the right arm must have come" in only(player.take_results()).message


def test_no_chunk_on_stale_joint_states() -> None:
    player = make_player()
    observe(player, 1.0)
    send(player, ramp(2, 0.0), now=1.6)
    assert "no joint states of the left arm for 0.60 s" in only(player.take_results()).message


def test_joint_states_of_a_simulator_that_stop_interrupt_the_chunk_and_the_robot_holds() -> None:
    """The silence of a real driver is a FAULT; test_robot_node.py tests it."""
    player = make_player()
    observe(player, 1.0)
    send(player, ramp(100, 0.01), now=1.0)
    sent = [player.tick(1.0 + DT * step) for step in range(1, 26)]  # up to 1.5 s: not yet longer than 0.5 s
    assert player.take_results() == []
    hold = player.tick(1.52)
    result = only(player.take_results())
    assert (result.status, result.num_steps) == (Status.INTERRUPTED, 0)  # It is not known whether the arms followed.
    assert len(result.commanded) == 25
    assert "left arm for 0.52 s" in result.message
    np.testing.assert_array_equal(hold, sent[-1])
    assert player.tick(1.54) is None


def test_a_driver_that_repeats_an_old_stamp_is_as_good_as_silent() -> None:
    player = make_player()
    observe(player, 1.0)
    send(player, ramp(100, 0.01), now=1.0)
    for side in aloha.SIDES:
        player.observe(side, HOME[:7], stamp=round(1.0 * 1e9), now=1.5)
    player.tick(1.52)
    assert only(player.take_results()).status is Status.FAULT


def test_a_cancelled_chunk_says_how_far_it_came() -> None:
    player = make_player()
    observe(player, 1.0)
    send(player, ramp(10, 0.01), now=1.0)
    sent = [player.tick(1.02), player.tick(1.04)]
    player.suspend("paused by the operator")
    result = only(player.take_results())
    assert result == ExecutionResult(
        status=Status.CANCELLED,
        num_steps=2,
        stamp=1,
        message="paused by the operator",
        start_error=0.0,
        duration=pytest.approx(0.04),
    )
    np.testing.assert_array_equal(player.tick(1.06), sent[-1])


def test_a_suspended_robot_refuses_and_a_resumed_one_plays() -> None:
    player = make_player()
    observe(player, 1.0)
    player.suspend("paused by the operator")
    send(player, ramp(2, 0.0), now=1.0)
    assert "suspended: paused by the operator" in only(player.take_results()).message
    player.resume()
    send(player, ramp(2, 0.0), now=1.0, stamp=2)
    assert player.playing


def test_in_lockstep_idle_time_does_not_age_joint_states() -> None:
    player = make_player(lockstep=True)
    observe(player, 1.0)
    send(player, ramp(2, 0.01), now=60.0)
    assert player.tick(60.0) is not None


def test_in_lockstep_a_step_without_an_answer_interrupts_the_chunk() -> None:
    player = make_player(lockstep=True)
    observe(player, 1.0)
    send(player, ramp(2, 0.01), now=60.0)
    player.tick(60.0)
    player.watch(60.5)
    assert player.playing
    player.watch(60.51)
    result = only(player.take_results())
    assert (result.status, result.num_steps) == (Status.INTERRUPTED, 0)


def test_targets_never_leave_the_joint_ranges() -> None:
    player = make_player()
    near = np.array(HOME)
    near[1] = 1.2
    observe(player, 1.0, near)
    targets = np.tile(near, (3, 1))
    targets[:, 1] = [1.25, 1.3, 1.35]  # the shoulder's range ends at 1.25664
    send(player, targets, now=1.0)
    sent = [player.tick(1.0 + DT * step) for step in range(1, 4)]
    np.testing.assert_allclose([target[1] for target in sent if target is not None], [1.25, 1.25664, 1.25664])


def test_what_comes_again_with_the_stamp_of_the_running_chunk_makes_no_second_result() -> None:
    player = make_player()
    observe(player, 1.0)
    send(player, ramp(4, 0.01), now=1.0)
    player.tick(1.02)
    send(player, ramp(4, 0.01), now=1.02)
    player.refuse(1, "left arm: a half of it cannot be read")
    _, results = play(player, 1.02)
    assert only(results).status == Status.EXECUTED
    player.watch(9.0)
    assert player.take_results() == []


def make_braking_player() -> ChunkPlayer:
    config = RobotConfig(max_velocity=1.5, max_acceleration=10.0)
    return ChunkPlayer(config, state_timeout=0.5, states_on_demand=False, trust=SIMULATED)


def test_a_robot_with_limited_acceleration_brakes_where_a_chunk_is_cancelled() -> None:
    player, now = make_braking_player(), 1.0
    observe(player, now)
    send(player, ramp(16, 0.02), now=now)
    sent = [HOME]
    for step in range(40):
        if step == 8:
            player.suspend("paused")
        now += DT
        observe(player, now)
        target = player.tick(now)
        if target is not None:
            sent.append(target)
    steps = np.diff(np.array(sent)[:, 0])
    assert len(steps) < 20 and steps[-1] == 0.0  # it sends nothing more at rest
    assert steps[7] > 0.01 and np.all(np.abs(np.diff(steps)) <= 0.004 + 1e-12)


def test_no_chunk_starts_while_the_robot_brakes() -> None:
    player = make_braking_player()
    observe(player, 1.0)
    send(player, ramp(16, 0.02), now=1.0)
    for step in range(1, 8):
        observe(player, 1.0 + step * DT)
        player.tick(1.0 + step * DT)
    player.suspend("paused")
    player.resume()
    send(player, ramp(16, 0.02), now=1.15, stamp=2)
    results = player.take_results()
    assert "the robot still comes to rest" in results[-1].message


def test_a_chunk_that_the_limits_slow_too_much_ends_as_limited() -> None:
    player = make_braking_player()
    observe(player, 1.0)
    send(player, ramp(4, 0.3)[:4], now=1.0)
    sent, results = play(player, 1.0)
    result = only(results)
    assert (result.status, result.num_steps) == (Status.LIMITED, 1)  # It came to 0.34 rad, across the first target.
    assert result.message == "the limits of the robot made the chunk too slow"
    assert len(result.commanded) == 4 + 10  # a short chunk has the time to brake from full speed
    sent += brake(player, 1.0 + 16 * DT)
    steps = np.diff([HOME, *sent], axis=0)[:, 0]
    rise, fall = 0.004 * np.arange(1, 8), 0.002 + 0.004 * np.arange(6, -1, -1)
    assert np.allclose(steps, [*rise, *[0.03] * 7, *fall, 0.0])


def test_a_chunk_after_a_limited_one_goes_on_with_the_speed_that_is_left() -> None:
    player = make_braking_player()
    observe(player, 1.0)
    send(player, ramp(4, 0.3), now=1.0)
    sent, _ = play(player, 1.0)
    observe(player, 1.30, sent[-1])
    send(player, np.tile(sent[-1] + 0.1, (4, 1)), now=1.30, stamp=2)
    after = player.tick(1.32)
    assert after is not None and np.isclose(after[0] - sent[-1][0], 0.02457, atol=1e-5)


def test_the_start_of_an_episode_lets_a_robot_that_brakes_go_on_from_its_last_command() -> None:
    player = make_braking_player()
    observe(player, 1.0)
    send(player, ramp(4, 0.3), now=1.0)
    sent, _ = play(player, 1.0)
    player.resume()
    observe(player, 1.30, sent[-1] - 0.02)
    send(player, np.tile(sent[-1] + 0.1, (4, 1)), now=1.30, stamp=2)
    after = player.tick(1.32)
    assert after is not None and np.isclose(after[0] - sent[-1][0], 0.02457, atol=1e-5)


def test_a_chunk_that_fails_before_its_first_step_moves_nothing() -> None:
    player = make_braking_player()
    observe(player, 1.0)
    send(player, ramp(4, 0.001), now=1.0)
    sent, _ = play(player, 1.0)
    observe(player, 2.0, ramp(1, 0.1)[0])
    send(player, ramp(4, 0.001), now=2.0, stamp=2)
    assert all(np.array_equal(target, sent[-1]) for target in brake(player, 4.0))
    assert player.take_results()[-1].status is Status.FAULT


def test_the_start_of_an_episode_during_a_chunk_does_not_move_the_start_of_the_next() -> None:
    player = make_braking_player()
    observe(player, 1.0)
    send(player, ramp(4, 0.001), now=1.0)
    player.tick(1.02)
    player.resume()
    sent, _ = play(player, 1.02)
    observe(player, 1.2, sent[-1] - 0.02)
    send(player, np.tile(sent[-1], (2, 1)), now=1.2, stamp=2)
    after, _ = play(player, 1.2)
    assert np.array_equal(after[0], sent[-1])


def test_an_arm_that_left_its_last_command_moves_only_after_the_operator_has_looked() -> None:
    config = RobotConfig(max_start_jump=0.2)
    player = ChunkPlayer(config, state_timeout=0.5, states_on_demand=False, trust=TrustRule.of(config, simulated=False))
    for step in range(10):
        observe(player, 0.8 + step * DT)
    send(player, ramp(1, 0.0), now=1.0)
    play(player, 1.0)
    fallen = ramp(1, -0.3)[0]
    for step in range(1, 60):  # slowly, so that each reading is plausible
        observe(player, 1.04 + step * DT, HOME + (fallen - HOME) * min(1.0, step / 50))
    send(player, fallen[None], now=2.2, stamp=2)
    assert "the left waist is 0.30 rad from the last command" in only(player.take_results()).message
    player.resume()
    send(player, fallen[None], now=2.2, stamp=3)
    target = player.tick(2.22)
    assert target is not None and np.allclose(target, fallen)


def test_after_a_pause_a_robot_goes_on_from_the_command_that_its_motors_hold() -> None:
    """Its arms lag by 0.05 rad. From the measured position the first command would leap."""
    config = RobotConfig(max_velocity=1.5, max_acceleration=10.0, max_start_jump=0.2)
    trust = TrustRule.of(config, simulated=False)
    player = ChunkPlayer(config, state_timeout=0.5, states_on_demand=False, trust=trust)
    lagging, now = np.array(HOME) - np.where(np.arange(14) == 1, 0.05, 0.0), 1.0
    for _ in range(20):
        now += DT
        observe(player, now, HOME)
    send(player, ramp(1, 0.0), now=now)
    now += DT
    first = player.tick(now)
    player.suspend("paused")
    for _ in range(10):
        now += DT
        observe(player, now, lagging)
        player.tick(now)
    player.resume(confirmed=False)
    send(player, np.tile(HOME, (4, 1)), now=now, stamp=2)
    now += DT
    observe(player, now, lagging)
    np.testing.assert_allclose(player.tick(now), first)


def test_motors_that_lost_their_goals_start_where_they_are_once_the_operator_has_looked() -> None:
    config = RobotConfig()
    player = ChunkPlayer(config, state_timeout=0.5, states_on_demand=False, trust=TrustRule.of(config, simulated=False))
    now = 1.0

    def step(state: np.ndarray) -> np.ndarray | None:
        nonlocal now
        now += DT
        observe(player, now, state)
        return player.tick(now)

    for _ in range(10):
        step(HOME)
    player.readiness.note_losses(0)
    send(player, ramp(4, 0.05), now=now)
    while player.playing:
        step(HOME)
    assert only(player.take_results()).status is Status.EXECUTED
    player.readiness.note_losses(1)
    player.readiness.note_losses(1)
    sunk = HOME + 0.1 * (np.arange(14) == 0)  # 0.1 rad from the last command, 0.2
    for _ in range(10):
        step(sunk)
    send(player, ramp(4, 0.05), now=now, stamp=2)
    assert "the motors of an arm have lost their goals" in only(player.take_results()).message
    assert "lost their goals" in player.readiness.waits(now)
    player.confirm()
    send(player, np.tile(sunk, (2, 1)), now=now, stamp=3)
    first = step(sunk)
    assert first is not None and first[0] == pytest.approx(0.1)


@pytest.mark.parametrize("counts", [True, False])
def test_the_steps_before_an_obstacle_count_where_the_robot_did_what_it_was_commanded(counts: bool) -> None:
    player = make_player()
    observe(player, 1.0)
    send(player, ramp(10, 0.01), now=1.0)
    for step in range(1, 4):
        observe(player, 1.0 + DT * step)
        player.tick(1.0 + DT * step)
    player.readiness.note_obstacle("an obstacle", counts=counts)
    player.watch(1.07)
    result = only(player.take_results())
    assert (result.status, result.num_steps) == (Status.FAULT, 3 if counts else 0)
    assert result.message == "an obstacle" and len(result.commanded) == 3


def test_a_result_says_how_far_the_arms_were_from_where_the_chunk_began() -> None:
    player = make_player()
    observe(player, 1.0)
    send(player, ramp(1, 0.05), now=1.0)
    play(player, 1.0)  # The arms do not follow, and stay 0.05 rad behind.
    send(player, ramp(1, 0.02), now=1.1, stamp=2)
    _, results = play(player, 1.1)
    assert only(results).start_error == pytest.approx(0.05)
    send(player, ramp(1, 0.9), now=1.2, stamp=3)
    assert only(player.take_results()).start_error is None  # refused
