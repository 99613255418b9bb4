"""The screen in a terminal. It shows the newest picture a few times a second, and hands keys to the desk."""

from __future__ import annotations

import time
from typing import ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.containers import Container, Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from chunk_ppo_ros.nodes.operate.actions.keys import HELP_KEY, LIST_KEY, QUIT_KEY, STOP_KEYS
from chunk_ppo_ros.nodes.operate.footer import footer_lines, help_lines
from chunk_ppo_ros.nodes.operate.headline import Headline, Kind, headline
from chunk_ppo_ros.nodes.operate.panels import PANELS, answer_line, call_lines, fitted, warning_lines
from chunk_ppo_ros.nodes.operate.picture import Picture
from chunk_ppo_ros.nodes.operate.session import Session
from chunk_ppo_ros.nodes.operate.style import STYLE

PERIOD = 0.25
"""The time between two looks at the picture, s."""
LEFT = ("episodes", "training", "times")
"""The panels of the first column."""
WIDE, TALL = 120, 34
"""From this width there is a third column, and from this height more lines of warnings and of the headline."""


class OperatorScreen(App[None]):
    """Shows a session.

    Args:
        session: what is shown, and what takes the keys.
    """

    CSS = STYLE
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar = []

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._overlay = ""  # "help", "list" or empty
        self._shown: dict[str, str | Content] = {}  # the text of each part

    def compose(self) -> ComposeResult:
        """Makes the parts of the screen, empty."""
        yield Static(id="place", markup=False)
        with Container(id="headline"):
            yield Static(id="title", markup=False)
            yield Static(id="waits", markup=False)
            yield Static(id="press", markup=False)
            yield Static(id="command", markup=False)
        with Horizontal(id="columns"):
            for column, names in (("first", LEFT), ("second", tuple(_names() - set(LEFT)))):
                with VerticalScroll(id=column, can_focus=False):
                    for panel in PANELS:
                        if panel.name in names:
                            yield Static(panel.title, classes="heading", markup=False)
                            yield Static(id=panel.name, classes="panel", markup=False)
            with VerticalScroll(id="third", can_focus=False):
                yield Static("WARNINGS", classes="heading", markup=False)
                yield Static(id="all_warnings", classes="panel", markup=False)
                yield Static("CALLS", classes="heading", markup=False)
                yield Static(id="all_calls", classes="panel", markup=False)
        with VerticalScroll(id="overlay", can_focus=False):
            yield Static(id="overlay_text", markup=False)
        yield Static(id="answer", markup=False)
        yield Static(id="warnings", markup=False)
        yield Static(id="keys", markup=False)

    def on_mount(self) -> None:
        """Shows the first picture, and asks to be called again and again."""
        self.set_interval(PERIOD, self.show)
        self.show()

    def on_resize(self, event: events.Resize) -> None:
        """Shows the picture in the new size."""
        self.call_after_refresh(self.show)

    async def on_event(self, event: events.Event) -> None:
        """Takes keys before any part of the screen does, so that none is lost to scrolling or to a selection."""
        if isinstance(event, events.Key) and self._on_any_key(event.key):
            return
        await super().on_event(event)

    def _on_any_key(self, key: str) -> bool:
        """Returns whether a key means something. The emergency stop goes before all."""
        if key in STOP_KEYS:
            self._press(key)
            return True
        asked = bool(self._session.board.picture.question)
        if not asked and key in (QUIT_KEY, "ctrl+c", "ctrl+q"):
            self.exit()
            return True
        if not asked and key in (HELP_KEY, LIST_KEY):
            name = "help" if key == HELP_KEY else "list"
            self._overlay = "" if self._overlay == name else name
            self.show()
            return True
        if key in ("up", "down", "pageup", "pagedown"):
            self._scroll(key)
            return True
        return self._press(key)

    def _press(self, key: str) -> bool:
        taken = self._session.desk.press(key, now=time.monotonic())
        self.show()
        return taken

    def _scroll(self, key: str) -> None:
        names = ("overlay",) if self._overlay else ("first", "second", "third")
        for name in names:
            area = self.query_one(f"#{name}", VerticalScroll)
            {
                "up": area.scroll_up,
                "down": area.scroll_down,
                "pageup": area.scroll_page_up,
                "pagedown": area.scroll_page_down,
            }[key](animate=False)

    def show(self) -> None:
        """Shows the newest picture."""
        self._session.work()
        if not self.query("#title"):
            return  # The parts are not there yet, or not any more.
        picture, now = self._session.board.picture, time.monotonic()
        width, height = self.size.width, self.size.height
        is_wide, is_tall = width >= WIDE, height >= TALL
        self._show_headline(headline(picture, now=now), is_tall=is_tall)
        self._text("place", fitted(_place_line(picture), width))
        self.query_one("#third").display = is_wide
        column = max(10, width // (3 if is_wide else 2) - 3)
        for panel in PANELS:
            self._text(panel.name, "\n".join(panel.lines(picture, column)))
        warnings = warning_lines(picture)
        self._text("all_warnings", "\n".join(warnings) or "none")
        self._text("all_calls", "\n".join(call_lines(picture)) or "none yet")
        self._show_overlay(picture)
        self._text("answer", fitted(answer_line(picture.answer, now=now), width - 1))
        self._text("warnings", self._short_warnings(warnings, width - 1, 4 if is_tall else 2))
        self._text("keys", "\n".join(footer_lines(picture, width - 2)))

    def _show_headline(self, shown: Headline, *, is_tall: bool) -> None:
        box = self.query_one("#headline")
        for kind in Kind:
            box.set_class(shown.kind is kind, kind.value)
        box.set_class(is_tall, "tall")
        self._text("title", shown.title)
        self._text("waits", shown.waits_for)
        key: list[str | tuple[str, str]] = ["▶ press ", (f" {shown.key} ", "reverse bold"), "  "] if shown.key else []
        self._text("press", Content.assemble(*key, shown.does))
        self.query_one("#command").display = is_tall and bool(shown.command)
        self._text("command", shown.command)

    def _show_overlay(self, picture: Picture) -> None:
        overlay, columns = self.query_one("#overlay"), self.query_one("#columns")
        # The help needs the lines of the headline where a terminal is small.
        self.query_one("#headline").display = not self._overlay or bool(picture.question or picture.stopped)
        overlay.display, columns.display = bool(self._overlay), not self._overlay
        if self._overlay == "help":
            self._text("overlay_text", "\n".join(help_lines()))
        elif self._overlay == "list":
            lines = [
                "WARNINGS",
                *(warning_lines(picture) or ["none"]),
                "",
                "CALLS",
                *(call_lines(picture) or ["none yet"]),
            ]
            self._text("overlay_text", "\n".join(lines))

    def _short_warnings(self, lines: list[str], width: int, most: int) -> str:
        shown = [fitted(line, width) for line in lines[:most]]
        if len(lines) > most:
            more = f" (+{len(lines) - most}: w)"
            shown[-1] = fitted(lines[most - 1], width - len(more)) + more
        return "\n".join(shown) or "No warnings."

    def _text(self, name: str, text: str | Content) -> None:
        """Shows a text, unless it is there already, because drawing costs time."""
        if self._shown.get(name) != text:
            self._shown[name] = text
            self.query_one(f"#{name}", Static).update(text)


def _names() -> set[str]:
    return {panel.name for panel in PANELS}


def _place_line(picture: Picture) -> str:
    episode, place = picture.episode, picture.place
    run = "no run yet" if episode is None else f"run {episode.run_id or '-'} {episode.sender}".rstrip()
    prompt = "" if episode is None or not episode.prompt else f' · "{episode.prompt}"'
    return f" {run} · domain {place.domain}{f' {place.namespace}' if place.namespace else ''}{prompt}"
