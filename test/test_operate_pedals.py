"""Tests the buttons of pedals and pads: their setting, edges, buttons that are held, and silence."""

from __future__ import annotations

import pytest

from chunk_ppo_ros.config import OperateConfig
from chunk_ppo_ros.nodes.operate.pedals import SILENCE, Pedals

BUTTONS = {0: "success", 1: "failure", 2: "emergency_stop"}
UP, FIRST, SECOND, BOTH = (0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0)


@pytest.mark.parametrize(
    "entries", [("0=success", "1=failure", "2=emergency_stop"), ("0=success 1=failure", "2=emergency_stop")]
)
def test_buttons_are_read_one_by_one_or_from_one_text(entries: tuple[str, ...]) -> None:
    assert OperateConfig(joy_buttons=entries).buttons == BUTTONS


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("0=sucess", "operate.joy_buttons must be entries BUTTON=ACTION.*got '0=sucess'; write for example 0=success"),
        ("A=success", "got 'A=success'"),
        ("-1=success", "got '-1=success'"),
        ("success", "got 'success'"),
        ("0=clear_stop", "got '0=clear_stop'"),
        ("0=go_to_sleep_pose", "got '0=go_to_sleep_pose'"),
        ("0=success 0=failure", "must give button 0 one action, got '0=failure' beside '0=success'; leave one out"),
    ],
)
def test_other_entries_are_refused(entry: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OperateConfig(joy_buttons=(entry,))


@pytest.mark.parametrize("name", ["", "my joy", "/lab/", "1joy", "joy-2"])
def test_a_topic_that_ros_does_not_take_is_refused(name: str) -> None:
    """recorder_node would fail at it again and again, so that the run would not be recorded."""
    with pytest.raises(ValueError, match=f"operate.joy_topic must be the name of a topic, got '{name}'; take joy"):
        OperateConfig(joy_topic=name)


@pytest.mark.parametrize("name", ["joy", "/lab/pedal_2", "lab/joy", "~/joy"])
def test_a_topic_with_and_without_a_namespace_is_taken(name: str) -> None:
    assert OperateConfig(joy_topic=name).joy_topic == name


def pressed(*states: tuple[int, ...]) -> list[str]:
    """Returns the actions of states that come one after the other."""
    pedals = Pedals(BUTTONS, now=0.0)
    return [name for state in states for name in pedals.on_buttons(state, now=1.0)]


@pytest.mark.parametrize(
    ("states", "names"),
    [
        ([UP, FIRST, FIRST, FIRST, UP], ["success"]),
        ([UP, FIRST, UP, FIRST], ["success", "success"]),
        ([FIRST, FIRST, UP], []),
        ([FIRST, UP, FIRST], ["success"]),
        ([FIRST, BOTH], ["failure"]),
        ([UP, BOTH], ["success", "failure"]),
        ([UP, FIRST, SECOND], ["success", "failure"]),
        ([(0, 0, 0, 0), (0, 0, 0, 1)], []),
        ([(), FIRST], ["success"]),
    ],
)
def test_edges_count_and_held_buttons_do_not(states: list[tuple[int, ...]], names: list[str]) -> None:
    assert pressed(*states) == names


def test_what_is_wrong_with_a_pedal_is_named() -> None:
    pedals = Pedals(BUTTONS, now=0.0)

    def problem(now: float, num_senders: int = 1) -> str:
        return pedals.problem(num_senders=num_senders, topic="joy", now=now)

    assert problem(0.0, num_senders=0).startswith("no pedal: nobody publishes sensor_msgs/Joy on joy")
    assert problem(1.0) == ""
    assert problem(SILENCE + 1.0) == "the pedal on joy is silent for 4 s (some send only when pressed)"
    pedals.on_buttons(FIRST, now=10.0)
    assert problem(10.0) == "button 0 (success) was held when the pedal was first heard; release it, so that it counts"
    pedals.on_buttons(UP, now=10.1)
    assert problem(10.1) == ""
    pedals.on_buttons((0,), now=10.2)
    assert problem(10.2) == "the pedal on joy has buttons 0..0, so button 1 never comes"


def test_a_button_that_is_held_when_the_pedal_comes_back_does_not_count() -> None:
    pedals = Pedals(BUTTONS, now=0.0)
    pedals.on_buttons(UP, now=1.0)
    pedals.problem(num_senders=0, topic="joy", now=2.0)
    assert pedals.on_buttons(FIRST, now=3.0) == []
    pedals.on_buttons(UP, now=4.0)
    assert pedals.on_buttons(FIRST, now=5.0) == ["success"]


def test_without_buttons_nothing_is_wrong() -> None:
    pedals = Pedals({}, now=0.0)
    assert pedals.problem(num_senders=0, topic="joy", now=99.0) == ""
    assert pedals.on_buttons(BOTH, now=99.0) == []
