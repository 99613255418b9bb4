"""Tests the table of keys, what is offered when, and what keys and pedals ask for."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from chunk_ppo_ros.config.entries.operate import PEDAL_ACTIONS
from chunk_ppo_ros.nodes.operate.actions.commands import action_of_command, with_keys
from chunk_ppo_ros.nodes.operate.actions.keys import action_of_key, key_table
from chunk_ppo_ros.nodes.operate.actions.table import ACTIONS, EMERGENCY_STOP, Action, action_named
from chunk_ppo_ros.nodes.operate.desk import PATIENCE, PEDAL_AGAIN, Desk
from chunk_ppo_ros.nodes.operate.footer import footer_lines, offered_keys
from chunk_ppo_ros.nodes.operate.intake import PLAYER
from chunk_ppo_ros.nodes.operate.picture import Board, Driver, Level, Phase, Picture, Status
from chunk_ppo_ros.nodes.wire import services
from chunk_ppo_ros.robot.leaders.handover import Leaders
from support.operator_pictures import PLACE, FakeCalls, in_episode, running

GRIPPED, RELEASE = services.LEADERS_GRIPPED.command, services.RELEASE_LEADERS.command
NOT_BY_PEDAL = {"clear_stop", "go_to_sleep_pose"}


def test_keys_and_names_are_used_once() -> None:
    keys = [key for entry in key_table() for key in entry.keys]
    assert len(keys) == len(set(keys))
    assert len({action.name for action in ACTIONS}) == len(ACTIONS)
    assert {action.service for action in ACTIONS} <= set(services.OPERATOR_SERVICES)


def test_the_document_lists_all_keys(repository: Path) -> None:
    text = (repository / "docs" / "operate.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(.+?)` \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    expected = [
        (entry.shown, f"`{entry.name}`" if entry.name else "", entry.does + ("; asks first" if entry.asks else ""))
        for entry in key_table()
    ]
    assert rows == expected


def test_pedals_can_do_all_but_what_needs_a_look() -> None:
    assert set(PEDAL_ACTIONS) == {EMERGENCY_STOP, *(action.name for action in ACTIONS)} - NOT_BY_PEDAL


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_the_key_of_a_command_is_found(action: Action) -> None:
    fields = ", ".join(f"{name}: {str(value).lower()}" for name, value in action.fixed.items())
    command = f'{action.service.command} "{{{fields}}}"' if fields else action.service.command
    assert action_of_command(command) is action


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("call the service confirm_motion when the arms are free", "confirm_motion"),
        ("ros2 service call /robots/a/reward_node/start_episode std_srvs/srv/Trigger", "start"),
        ("look at the robot, then pause", None),
        ("", None),
    ],
)
def test_the_key_of_a_sentence_is_found(text: str, name: str | None) -> None:
    found = action_of_command(text)
    assert (None if found is None else found.name) == name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"grip them, or call {GRIPPED}; they go limp", "grip them, or press g; they go limp"),
        (
            "look, then call ros2 service call /a/reward_node/pause std_srvs/srv/SetBool '{data: false}'.",
            "look, then press p.",
        ),
        ('ros2 service call /robot_node/emergency_stop std_srvs/srv/SetBool "{data: false}"', "press c"),
        (
            "call ros2 service call /a/torque_enable x/srv/T '{}'",
            "call ros2 service call /a/torque_enable x/srv/T '{}'",
        ),
        ("no command", "no command"),
    ],
)
def test_command_lines_are_written_as_keys(text: str, expected: str) -> None:
    assert with_keys(text) == expected


def offered(picture: Picture) -> set[str]:
    return {action.name for action in ACTIONS if action.offered(picture)}


WAITING = {PLAYER: Status(PLAYER, Level.ERROR, "the robot does not move: call the service confirm_motion")}


@pytest.mark.parametrize(
    ("picture", "names"),
    [
        (Picture(PLACE), {"go_to_start_pose", "go_to_sleep_pose"}),
        (running(), {"success", "failure", "discard", "pause", "takeover"}),
        (
            in_episode(phase=Phase.RESETTING),
            {"start", "reset_done", "reset", "discard", "pause", "takeover", "go_to_start_pose", "go_to_sleep_pose"},
        ),
        (
            in_episode(phase=Phase.READY),
            {"start", "reset", "discard", "pause", "takeover", "go_to_start_pose", "go_to_sleep_pose"},
        ),
        (in_episode(phase=Phase.CLOSING), {"discard", "pause", "takeover"}),
        (in_episode(phase=Phase.IDLE), {"takeover", "go_to_start_pose", "go_to_sleep_pose"}),
        (
            running(driver=Driver(False, Leaders.HOLDING, f"support them and call {RELEASE}")),
            {"success", "failure", "discard", "pause", "takeover", "release_leaders"},
        ),
        (
            running(driver=Driver(True, Leaders.HOLDING, f"grip them, or call {GRIPPED}")),
            {"success", "failure", "discard", "pause", "takeover", "leaders_gripped"},
        ),
        (running(stopped=True), {"success", "failure", "discard", "pause", "takeover", "clear_stop"}),
        (running(motion="start pose"), {"success", "failure", "discard", "pause", "takeover", "stop_motion"}),
        (running(statuses=WAITING), {"success", "failure", "discard", "pause", "takeover", "confirm_motion"}),
    ],
)
def test_what_makes_sense_is_offered(picture: Picture, names: set[str]) -> None:
    assert offered(picture) == names


def test_the_footer_is_not_wider_than_the_terminal() -> None:
    lines = footer_lines(in_episode(phase=Phase.RESETTING), 40)
    assert max(map(len, lines[:-1])) <= 40
    assert len(offered_keys(in_episode(phase=Phase.RESETTING))) == 8
    assert footer_lines(Picture(PLACE, nodes=frozenset()), 40) == lines[-1:]


class Rig:
    """A desk, and what it asks for."""

    def __init__(self, picture: Picture) -> None:
        self.board, self.calls = Board(PLACE), FakeCalls()
        self.board.change(lambda _: picture)
        self.desk = Desk(self.board, self.calls)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls.asked]


@pytest.fixture
def rig() -> Rig:
    return Rig(running())


def key_of(name: str) -> str:
    return action_named(name).key


@pytest.mark.parametrize(
    ("picture", "name", "request_"),
    [
        (running, "success", {"outcome": 1}),
        (running, "failure", {"outcome": 2}),
        (running, "pause", {"data": True}),
        (lambda: in_episode(paused=True), "pause", {"data": False}),
        (running, "takeover", {"data": True}),
        (lambda: running(driver=Driver(True, Leaders.LIMP, "")), "takeover", {"data": False}),
        (running, "start", {}),
    ],
)
def test_the_request_depends_on_what_is_now(picture: Callable[[], Picture], name: str, request_: object) -> None:
    rig = Rig(picture())
    assert rig.desk.press(key_of(name), now=10.0)
    assert rig.calls.asked == [(name, request_)]


def test_a_key_without_a_meaning_is_left_to_others(rig: Rig) -> None:
    assert not rig.desk.press("f5", now=10.0)
    assert action_of_key("f5") is None
    assert rig.names == []


def test_a_held_key_counts_once(rig: Rig) -> None:
    repeats = [10.0, *(10.66 + 0.04 * step for step in range(100))]  # as a terminal repeats it: first after 0.66 s
    for now in repeats:
        rig.desk.press(key_of("takeover"), now=now)
    assert rig.names == ["takeover"]
    rig.desk.press(key_of("takeover"), now=200.0)
    assert rig.names == ["takeover", "takeover"]


def test_another_key_is_taken_at_once(rig: Rig) -> None:
    for name in ("success", "pause", "success"):
        rig.desk.press(key_of(name), now=10.0)
    assert rig.names == ["success", "pause", "success"]


def test_the_stop_is_never_taken_for_a_held_key(rig: Rig) -> None:
    for _ in range(3):
        assert rig.desk.press("space", now=10.0)
    assert rig.names == ["STOP"] * 3


def test_a_question_that_nobody_answers_is_dropped(rig: Rig) -> None:
    rig.desk.press(key_of("discard"), now=10.0)
    rig.desk.look(now=10.0 + PATIENCE)
    assert rig.board.picture.question.startswith("Discard this episode?")
    rig.desk.look(now=10.1 + PATIENCE)
    assert rig.board.picture.question == ""
    rig.desk.press("enter", now=11.0 + PATIENCE)
    assert rig.names == []


def test_enter_that_comes_too_late_is_no_answer(rig: Rig) -> None:
    rig.desk.press(key_of("discard"), now=10.0)
    rig.desk.press("enter", now=10.1 + PATIENCE)
    assert rig.names == []


def test_a_pedal_asks_and_is_pressed_again(rig: Rig) -> None:
    rig.desk.press_pedal("discard", now=10.0)
    assert rig.names == []
    assert "Press the pedal again" in rig.board.picture.question
    rig.desk.press_pedal("discard", now=10.0 + PEDAL_AGAIN)
    assert rig.names == ["discard"]
    assert rig.board.picture.question == ""
    rig.desk.press_pedal("discard", now=20.0)
    rig.desk.press_pedal("discard", now=20.1 + PEDAL_AGAIN)
    assert rig.names == ["discard"]


def test_another_pedal_is_no_and_is_done(rig: Rig) -> None:
    rig.desk.press_pedal("discard", now=10.0)
    rig.desk.press_pedal("success", now=11.0)
    rig.desk.press_pedal("emergency_stop", now=11.0)
    assert rig.names == ["success", "STOP"]
    assert rig.board.picture.question == ""
