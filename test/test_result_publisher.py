"""Tests that no result is lost while a listener is still being discovered, and that the log is not flooded."""

from __future__ import annotations

import errno
import os
import pathlib
import time
from collections.abc import Callable

import pytest
from chunk_ppo_msgs import msg
from rclpy.serialization import serialize_message

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import Status
from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.data.store import StoreLocked
from chunk_ppo_ros.nodes.common import outbox
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.hold_off import HOLD_OFF, MAX_KINDS, HoldOff
from chunk_ppo_ros.nodes.common.reports import report_outbox
from chunk_ppo_ros.nodes.robot.results import result_publisher
from chunk_ppo_ros.nodes.robot.results.result_publisher import LONGEST_WAIT, ResultPublisher
from chunk_ppo_ros.nodes.robot.robot_diagnostics import RobotDiagnostics
from chunk_ppo_ros.nodes.wire.arrays import header_of
from chunk_ppo_ros.robot.gate.trust_rule import TrustRule
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer
from support.fake_node import FakeNode, SteadyClock
from support.player_inputs import DT, observe, ramp, send


class Robot:
    """The results of a player, who listens to them, and the disk."""

    def __init__(self, clock: SteadyClock, folder: pathlib.Path) -> None:
        self.node, self.clock, self.run_id = FakeNode(), clock, "run"
        self.node.present["chunk_outcome"] = ["reward_node"]
        trust = TrustRule.of(RobotConfig(), simulated=True)
        self.player = ChunkPlayer(RobotConfig(), state_timeout=0.5, states_on_demand=False, trust=trust)
        self.results = ResultPublisher(
            self.node,  # type: ignore[arg-type]
            self.player,
            RobotDiagnostics(),
            Conditions(self.node),  # type: ignore[arg-type]
            folder=folder,
            now=lambda: 7,
            run_id=lambda: self.run_id,
        )

    def refuse(self, stamp: int, reason: str = "it is too far") -> list[int]:
        """Refuses a chunk, and returns the stamps of the results that are published."""
        self.player.refuse(stamp, reason)
        self.results.publish()
        return self.take()

    def begin(self, stamp: int) -> None:
        """Begins a chunk of two steps."""
        self.clock.now += 1.0
        observe(self.player, self.clock.now)
        send(self.player, ramp(2, 0.001), now=self.clock.now, stamp=stamp)
        assert self.player.played_stamp == stamp
        self.results.note_begun()

    def play(self, stamp: int) -> None:
        """Plays a chunk to its end."""
        self.begin(stamp)
        while self.player.playing:
            self.player.tick(self.clock.now)
            self.clock.now += DT
            observe(self.player, self.clock.now)
        self.results.publish()

    def wait(self) -> list[int]:
        """Waits until a result is published, and returns the stamps."""
        deadline = time.monotonic() + 30.0
        while not (taken := self.take()):
            assert time.monotonic() < deadline
            self._fire()
            time.sleep(0.001)
        return taken

    def stored(self) -> None:
        """Waits until the thread of the store has stored what waits, and publishes nothing."""
        self.results.close()

    def outcome(
        self, stamp: int, *, node: str = "reward_node", run_id: str = "run", sender: str = DEFAULT_SENDER
    ) -> None:
        """Has a node publish the outcome of a chunk."""
        outcome = msg.ChunkOutcome(header=header_of(stamp), run_id=run_id, sender=sender)
        self.node.subscribers["chunk_outcome"](serialize_message(outcome), node)

    def repeated(self) -> list[int]:
        """Returns what is published when a minute has passed."""
        self.clock.now += 60.0
        self._fire()
        return self.take()

    def _fire(self) -> None:
        for timer in self.node.timers:
            if timer.is_due:
                timer.on_time()

    def take(self) -> list[int]:
        self.taken = self.node.published("execution_result")
        return [message.header.stamp.nanosec for message in self.taken]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Callable[[], Robot]:
    """Returns a function that starts robot_node, which also finds what an earlier one has stored."""
    clock = SteadyClock()
    for module in (result_publisher, outbox):
        monkeypatch.setattr(module, "time", clock)
    return lambda: Robot(clock, tmp_path / "robot")


@pytest.fixture
def robot(start: Callable[[], Robot]) -> Robot:
    return start()


def test_a_result_waits_until_reward_node_listens(robot: Robot) -> None:
    robot.node.present["episode_event"] = ["reward_node"]
    robot.node.listening["execution_result"] = ["recorder_node"]
    assert robot.refuse(1) == robot.refuse(2) == []
    robot.node.listening["execution_result"].append("reward_node")
    robot.results.publish()
    assert robot.take() == [1, 2]
    robot.node.listening["execution_result"] = []  # It may be started anew, and nobody waits for that.
    assert robot.refuse(3) == [3]


def test_a_result_does_not_wait_for_long(robot: Robot) -> None:
    assert robot.refuse(1) == []  # Nobody publishes episode events.
    robot.clock.now += LONGEST_WAIT + 0.1
    robot.results.publish()
    assert robot.take() == [1] and robot.refuse(2) == [2]


def test_a_result_does_not_wait_at_the_end(robot: Robot) -> None:
    assert robot.refuse(1) == []
    robot.results.publish(at_once=True)
    assert robot.take() == [1]


def test_chunks_that_are_refused_one_after_another_are_counted_in_one_line(robot: Robot) -> None:
    for number in range(1, 100):
        robot.refuse(number, f"an age of {number}.5 s")
    robot.refuse(100, "paused")
    texts = [text for _, text in robot.node.take_lines()]
    assert texts == [
        "chunk REFUSED after 0 steps that count: an age of 1.5 s",
        "chunk REFUSED after 0 steps that count: paused",
    ]
    robot.clock.now += HOLD_OFF
    robot.refuse(101, "an age of 0.1 s")
    assert robot.node.take_lines()[0][1].endswith("an age of 0.1 s (98 more like it before)")


def test_many_kinds_of_messages_are_not_remembered_for_good() -> None:
    hold_off = HoldOff()
    names = ["".join(chr(97 + int(digit)) for digit in str(number)) for number in range(MAX_KINDS + 1)]
    assert all(hold_off.line(name, 0.0) for name in names)
    assert hold_off.line(names[0], 0.0) is not None and hold_off.line(names[-1], 0.0) is None


def test_a_result_of_an_executed_chunk_is_stored_and_repeated_until_its_outcome_is_known(robot: Robot) -> None:
    robot.play(5)
    assert robot.wait() == [5] and robot.taken[0].status == Status.EXECUTED
    assert robot.repeated() == [5] == robot.repeated()
    robot.outcome(6)
    assert robot.repeated() == [5]
    robot.outcome(5)
    assert robot.repeated() == []


@pytest.mark.parametrize(
    "outcome",
    [{"node": "attacker"}, {"run_id": "another run"}, {"sender": "robot_1"}],
    ids=["of another node", "of another run", "of another robot"],
)
def test_only_the_outcome_of_this_runs_reward_node_settles_a_result(robot: Robot, outcome: dict[str, str]) -> None:
    robot.node.present["chunk_outcome"] = ["attacker", "reward_node"]
    robot.play(5)
    assert robot.wait() == [5]
    robot.outcome(5, **outcome)
    assert robot.repeated() == [5]
    robot.outcome(5)
    assert robot.repeated() == []


def test_bytes_that_are_no_outcome_settle_nothing(robot: Robot) -> None:
    robot.play(5)
    assert robot.wait() == [5]
    robot.node.subscribers["chunk_outcome"](bytes(12), "reward_node")
    assert robot.repeated() == [5]


def test_a_result_is_not_published_before_it_is_stored(robot: Robot, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        robot.play(5)
        deadline = time.monotonic() + 30.0
        while not (lines := robot.node.take_lines()):
            assert robot.repeated() == [] and time.monotonic() < deadline
            time.sleep(0.01)
    assert "cannot be stored, and waits in memory until there is room: No space left" in lines[0][1]
    robot.clock.now += 60.0  # There is room now, and it goes on by itself.
    assert robot.wait() == [5]
    assert robot.node.take_lines() == [("info", "what waited is stored and sent on execution_result")]


def test_the_next_process_sends_the_results_that_have_no_outcome(start: Callable[[], Robot]) -> None:
    before = start()
    before.play(5)
    before.play(6)
    before.outcome(5)
    before.stored()
    after = start()
    assert after.wait() == [6]
    assert after.taken[0].run_id == "run" and after.taken[0].num_steps == 2
    after.outcome(6)
    assert after.repeated() == []


def test_the_next_process_says_which_chunk_ran_when_robot_node_died(start: Callable[[], Robot]) -> None:
    before = start()
    before.play(5)
    before.outcome(5)
    before.begin(6)
    before.stored()  # It dies here.
    after = start()
    assert after.wait() == [6]
    (result,) = after.taken
    assert (result.status, result.num_steps, result.message) == (
        Status.INTERRUPTED,
        0,
        "robot_node died while the chunk ran",
    )
    after.outcome(6)
    assert after.repeated() == []


def test_a_chunk_that_ended_before_the_death_did_not_run(start: Callable[[], Robot]) -> None:
    before = start()
    before.play(5)
    before.stored()  # It dies before it has taken back that the chunk runs.
    after = start()
    assert after.wait() == [5] and after.taken[0].status == Status.EXECUTED


def test_a_chunk_that_was_begun_before_a_restart_is_not_played_again(start: Callable[[], Robot]) -> None:
    before = start()
    before.play(5)
    before.outcome(5)
    before.begin(6)
    before.stored()
    after = start()
    assert all(after.player.has_ended(stamp) for stamp in (5, 6)) and not after.player.has_ended(7)


def test_a_trajectory_that_comes_again_has_its_result_repeated(robot: Robot) -> None:
    robot.play(5)
    assert robot.wait() == [5]
    robot.results.repeat(5)
    assert robot.take() == [5]
    robot.results.repeat(4)  # Nothing is known of it.
    assert robot.take() == []


def test_the_other_half_of_a_refused_chunk_repeats_nothing(robot: Robot) -> None:
    robot.refuse(1)
    robot.results.publish(at_once=True)
    assert robot.take() == [1]
    robot.results.repeat(1)
    assert robot.take() == []
    robot.clock.now += 1.0
    robot.results.repeat(1)
    assert robot.take() == [1]


def test_results_that_nobody_waits_for_are_dropped(robot: Robot) -> None:
    robot.play(5)
    assert robot.wait() == [5]
    robot.results.note_reset(100)
    robot.results.note_reset(100)  # It is latched, and may be received again.
    assert robot.repeated() == [5]  # The outcome may be on its way.
    robot.results.note_reset(200)
    assert robot.repeated() == []


def test_results_of_another_run_are_dropped(robot: Robot) -> None:
    robot.play(5)
    assert robot.wait() == [5]
    robot.run_id = "another run"
    robot.results.note_reset(100)
    assert robot.repeated() == []


def test_a_second_robot_node_is_refused(start: Callable[[], Robot]) -> None:
    first = start()
    with pytest.raises(StoreLocked, match="must be written by one process"):
        start()
    first.results.close()


def test_a_store_that_cannot_be_opened_is_opened_later(
    start: Callable[[], Robot], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setattr(report_outbox, "OPENING_PERIOD", 0.01)
    (tmp_path / "robot").write_text("a file in the place of the folder")
    robot = start()
    assert "cannot be stored, and waits in memory until there is room" in robot.node.take_lines()[0][1]
    robot.play(5)
    assert robot.repeated() == []
    (tmp_path / "robot").unlink()
    assert robot.wait() == [5]
