"""Tests which sequence numbers and episodes count as those of the run, and what is read of damaged transitions."""

from __future__ import annotations

import dataclasses

import pytest
from rclpy.serialization import serialize_message

from chunk_ppo_ros.core.consumption.number_window import MOST_ROBOTS, NumberWindow
from chunk_ppo_ros.core.types import ChunkId
from chunk_ppo_ros.nodes.trainer.intake.received import read_id, read_transition
from chunk_ppo_ros.nodes.wire import conversions
from support.wire_transitions import make_transition


def window() -> NumberWindow:
    return NumberWindow(largest_jump=10, next_sequence_number=100, next_episode=20)


def chunk(number: int, episode: int = 20, *, sender: str = "robot_0") -> ChunkId:
    return ChunkId("run", number, episode, 0, sender)


@pytest.mark.parametrize(("number", "episode"), [(0, 0), (100, 20), (110, 30)])
def test_numbers_before_and_shortly_after_the_known_ones_count(number: int, episode: int) -> None:
    window().check(chunk(number, episode))


def test_numbers_that_jump_are_refused() -> None:
    text = r"^sequence_number must be at most 110 \(run.max_number_jump 10 beyond 100, which would be next\), got "
    for number in (111, 100_100, 2**64 - 1):
        with pytest.raises(ValueError, match=f"{text}{number}; raise the setting"):
            window().check(chunk(number))
    for episode in (31, 2**32 - 1):
        with pytest.raises(ValueError, match=f"^episode must be at most 30 .*got {episode}"):
            window().check(chunk(100, episode))


@pytest.mark.parametrize("sender", ["", 101 * "r", 51 * "ü"])
def test_a_name_that_is_none_of_a_robot_is_refused(sender: str) -> None:
    with pytest.raises(ValueError, match="sender must have 1 to 100 bytes, got '"):
        window().check(chunk(100, sender=sender))


def test_a_run_has_only_so_many_robots() -> None:
    numbers = window()
    for robot in range(MOST_ROBOTS):
        numbers.check(chunk(100, sender=f"robot_{robot}"))
        numbers.note(chunk(100, sender=f"robot_{robot}"))
    with pytest.raises(
        ValueError, match=f"a run must have at most {MOST_ROBOTS} robots, got 'robot_99' beside robot_0"
    ):
        numbers.check(chunk(100, sender="robot_99"))
    numbers.check(chunk(101, sender="robot_3"))


def test_the_window_follows_the_numbers_of_each_robot() -> None:
    numbers = window()
    numbers.note(chunk(109, 29))
    numbers.check(chunk(120, 40))
    numbers.note(chunk(5, 1))  # An old one does not move it back.
    numbers.check(chunk(120, 40))
    with pytest.raises(ValueError, match="must be at most 110"):
        numbers.check(chunk(120, sender="robot_1"))


def test_episodes_without_a_transition_move_the_window_step_by_step() -> None:
    numbers = window()
    for episode in range(20, 60):
        numbers.note_episode("robot_0", episode)
    numbers.note_episode("robot_0", 10**6)  # It jumps itself.
    numbers.note_episode("robot_0", 3)
    numbers.note_episode("another", 3)
    numbers.check(chunk(100, 70))
    with pytest.raises(ValueError, match="episode must be at most 70"):
        numbers.check(chunk(100, 71))


def test_the_identity_is_read_where_the_rest_is_missing_or_damaged() -> None:
    for run_id in ("run", "r", "ünd so"):
        transition = dataclasses.replace(make_transition(), id=ChunkId(run_id, 2**63 + 1, 7, 3, "robot_12"))
        raw = serialize_message(conversions.transition_to_message(transition))
        assert read_id(raw) == read_id(raw[:120]) == transition.id
        assert conversions.chunk_id(read_transition(raw).chunk) == transition.id
        for length in range(90):
            assert read_id(raw[:length]) in (None, transition.id)
            with pytest.raises(ValueError, match=f"must be a serialized Transition, got {length} bytes"):
                read_transition(raw[:length])
