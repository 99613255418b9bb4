"""Tests the operator's screen in a terminal that textual simulates, with pictures in the place of a graph."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import Awaitable, Callable

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from chunk_ppo_ros.nodes.operate.actions.keys import HELP_KEY, LIST_KEY, STOP_KEYS
from chunk_ppo_ros.nodes.operate.actions.table import ACTIONS, Action
from chunk_ppo_ros.nodes.operate.picture import Answer, Driver, Level, Picture, Status
from chunk_ppo_ros.nodes.operate.screen import OperatorScreen
from chunk_ppo_ros.rewards.bookkeeping.episode_counts import PromptCounts
from chunk_ppo_ros.robot.leaders.handover import Leaders
from support.operator_pictures import PLACE, READY, FakeSession, in_episode, running

SIZES = ((80, 24), (120, 40), (200, 60), (40, 12), (20, 5))
PARTS = ("place", "title", "waits", "press", "command", "episodes", "training", "robot", "sensors", "times")
MORE_PARTS = ("all_warnings", "all_calls", "overlay_text", "answer", "warnings", "keys")

PICTURES = {
    "before the first look": Picture(PLACE),
    "no graph": Picture(PLACE, nodes=frozenset()),
    "nothing told": running(episode=None, driver=None, stopped=None, rollout=None, chunk=None, ends=(), statuses={}),
    "running": running(),
    "ready": in_episode(**READY),
    "no episode ended": in_episode(counts=()),
    "many prompts": in_episode(counts=tuple(PromptCounts(f"prompt {number} " * 9, number) for number in range(30))),
    "long texts": running(statuses={str(n): Status("node " * 20, Level.ERROR, "text " * 90) for n in range(9)}),
    "markup": in_episode(prompt="[bold] [/] \\[ {x}", waits_for="[red]look[/red]", command="[/]"),
}


class Shown:
    """A screen that runs, and what it shows."""

    def __init__(self, app: OperatorScreen, session: FakeSession, pilot: Pilot[None]) -> None:
        self.app, self.session, self.pilot = app, session, pilot

    def part(self, name: str) -> str:
        """Returns the text of a part of the screen, empty where it is not shown."""
        widget = self.app.query_one(f"#{name}", Static)
        return str(widget.render()) if widget.display else ""

    @property
    def text(self) -> str:
        return "\n".join(self.part(name) for name in (*PARTS, *MORE_PARTS))

    @property
    def asked(self) -> list[tuple[str, dict[str, object]]]:
        """What the nodes were asked for."""
        return self.session.calls.asked

    async def shows(self, picture: Picture) -> None:
        self.session.board.change(lambda _: picture)
        self.app.show()
        await self.pilot.pause()


def on_screen(
    check: Callable[[Shown], Awaitable[None]], picture: Picture | None = None, size: tuple[int, int] = (80, 24)
) -> None:
    """Runs a check on the screen of a picture."""

    async def run() -> None:
        session = FakeSession(running() if picture is None else picture)
        app = OperatorScreen(session)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await check(Shown(app, session, pilot))

    asyncio.run(run())


def test_a_running_episode_is_told_at_80_columns() -> None:
    async def check(shown: Shown) -> None:
        assert shown.part("place") == ' run cups robot_0 · domain 37 · "put the red cube into the cup"'
        assert shown.part("title") == "EPISODE 12 RUNS"
        assert shown.part("waits").startswith("The policy drives.")
        assert shown.part("press") == "▶ press  y   success     n failure     d discard"
        assert shown.part("episodes").splitlines()[0] == "success 12/20 = 60% [39, 78]"
        assert "taken over 2, discarded 1" in shown.part("episodes")
        assert shown.part("training").splitlines() == [
            "rollout 57 of 128   policy version 7",
            "chunk 941 of v7: V(s) 0.43, 16 steps",
            "stale: 0 versions, 0.12 s at start",
            "ended 4 EXECUTED",
        ]
        assert "REFUSED 1  FAULT 2  LIMITED 3" in shown.part("robot")
        assert "limited steps 70 of 2400" in shown.part("robot")
        assert "high 0.03" in shown.part("sensors")
        assert "right leader 0.03" in shown.part("sensors")
        assert shown.part("times").startswith("1:02:03  moving 24% running 67%")
        assert "SPACE EMERGENCY STOP" in shown.part("keys").splitlines()[-1]
        assert shown.part("warnings") == "No warnings."

    on_screen(check)


def test_what_is_waited_for_stands_with_its_key() -> None:
    async def check(shown: Shown) -> None:
        assert shown.part("title") == "EPISODE 12 IS READY · WAITS FOR YOU"
        assert shown.part("waits") == f"Waits for {READY['waits_for']}."
        assert shown.part("press") == "▶ press  s   start"
        assert shown.part("keys").startswith("s start")
        await shown.shows(running())
        assert shown.part("title") == "EPISODE 12 RUNS"

    on_screen(check, in_episode(**READY))


def test_a_tall_terminal_also_shows_the_command() -> None:
    async def check(shown: Shown) -> None:
        assert shown.part("command") == READY["command"]

    on_screen(check, in_episode(**READY), size=(120, 40))


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_fits_every_terminal(name: str) -> None:
    async def check(shown: Shown) -> None:
        for size, key in zip(SIZES, (HELP_KEY, LIST_KEY, LIST_KEY, "down", HELP_KEY), strict=True):
            await shown.pilot.resize_terminal(*size)
            assert shown.part("title")
            await shown.pilot.press(key)
        assert shown.part("title")

    on_screen(check, PICTURES[name])


@pytest.mark.parametrize(
    "action", [action for action in ACTIONS if not action.question], ids=lambda action: action.name
)
def test_a_key_asks_for_its_action(action: object) -> None:
    async def check(shown: Shown) -> None:
        await shown.pilot.press(action.key)
        (asked,) = shown.asked
        assert asked[0] == action.name

    on_screen(check)


@pytest.mark.parametrize("action", [each for each in ACTIONS if each.question], ids=lambda each: each.name)
def test_what_cannot_be_undone_is_asked_about(action: Action) -> None:
    async def check(shown: Shown) -> None:
        key = action.key
        await shown.pilot.press(key)
        assert shown.asked == []
        assert shown.part("title") == "ARE YOU SURE?"
        await shown.pilot.press("n")  # It is the key of a failure, which is not marked now.
        assert shown.asked == []
        assert shown.part("title") == "EPISODE 12 RUNS"
        shown.session.desk.press("other", now=0.0)  # so that the key does not count as held
        await shown.pilot.press(key, "enter")
        assert [name for name, _ in shown.asked] == [action.name]
        assert shown.part("title") == "EPISODE 12 RUNS"

    on_screen(check)


@pytest.mark.parametrize("key", STOP_KEYS)
@pytest.mark.parametrize("before", [[], ["question_mark"], [LIST_KEY], ["d"], ["z"]])
def test_the_emergency_stop_works_in_every_view(key: str, before: list[str]) -> None:
    async def check(shown: Shown) -> None:
        await shown.pilot.press(*before, key)
        assert shown.asked == [("STOP", {})]
        assert "ARE YOU SURE" not in shown.text

    on_screen(check)


def test_help_and_warnings_are_shown_and_hidden() -> None:
    async def check(shown: Shown) -> None:
        await shown.pilot.press("question_mark")
        assert "SPACE or Esc" in shown.part("overlay_text")
        assert shown.app.query_one("#overlay").display
        await shown.pilot.press(LIST_KEY)
        assert "episode 12 has started" in shown.part("overlay_text")
        await shown.pilot.press(LIST_KEY)
        assert not shown.app.query_one("#overlay").display

    on_screen(check, running(calls=(Answer("14:02:11", "start_episode", True, "episode 12 has started"),)))


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
def test_the_screen_is_left(key: str) -> None:
    async def check(shown: Shown) -> None:
        await shown.pilot.press(key)
        assert not shown.app.is_running
        assert shown.asked == []

    on_screen(check)


def test_the_answer_and_the_worst_warnings_are_shown() -> None:
    statuses = {
        name: Status(name, level, text)
        for name, level, text in (
            ("trainer_node", Level.WARN, "slow"),
            ("robot_node: motors", Level.ERROR, "hot"),
            ("policy_node", Level.OK, "acting"),
        )
    }
    picture = running(
        statuses=statuses,
        gone=("sim_node",),
        answer=Answer("14:02:11", "start", False, "no reset was requested"),
    )

    async def check(shown: Shown) -> None:
        assert shown.part("answer") == "14:02:11 start: NO, no reset was requested"
        assert shown.part("warnings").splitlines() == [
            "GONE sim_node was here and is not any more",
            "ERROR robot_node: motors: hot (+1: w)",
        ]
        assert "WARN trainer_node: slow" in shown.part("all_warnings")
        assert "policy_node" not in shown.part("all_warnings")

    on_screen(check, picture)


def test_who_drives_changes_the_key_of_the_takeover() -> None:
    async def check(shown: Shown) -> None:
        assert "t take over" in shown.part("keys")
        await shown.shows(running(driver=Driver(True, Leaders.LIMP, "")))
        assert "t hand back" in shown.part("keys")
        assert "driver: A HUMAN   leaders: limp" in shown.part("robot")
        await shown.pilot.press("t")
        assert shown.asked == [("takeover", {"data": False})]

    on_screen(check)


def test_an_error_of_the_graph_ends_the_screen_with_its_text() -> None:
    async def check(shown: Shown) -> None:
        shown.session.failure = RuntimeError("the middleware broke")
        with pytest.raises(RuntimeError, match="the middleware broke"):
            shown.app.show()
        shown.session.failure = None

    on_screen(check)


def test_old_news_are_called_old() -> None:
    picture = running()
    assert picture.episode is not None
    old = dataclasses.replace(picture.episode, heard=picture.episode.heard - 9.0)

    async def check(shown: Shown) -> None:
        assert shown.part("title") == "OLD NEWS"
        assert re.match(r"reward_node is silent for \d+ s", shown.part("waits"))

    on_screen(check, dataclasses.replace(picture, episode=old))
