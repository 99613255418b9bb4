"""Decides what a key or a pedal does: asks before what cannot be undone, and counts a held key once."""

from __future__ import annotations

import dataclasses
from typing import Protocol

from chunk_ppo_ros.nodes.operate.actions.keys import CONFIRM_KEY, STOP_KEYS, action_of_key, shown_key
from chunk_ppo_ros.nodes.operate.actions.table import EMERGENCY_STOP, Action, Request, action_named
from chunk_ppo_ros.nodes.operate.picture import Board

REPEAT = 0.7
"""A key that comes again within this time, s, is being held. Terminals repeat a held key after at most 0.66 s."""
PATIENCE = 10.0
"""How long a question waits for its answer, s. After it, the answer is no."""
PEDAL_AGAIN = 3.0
"""Within this time, s, a pedal must be pressed again for what is asked about."""


class Calls(Protocol):
    """Something that asks the nodes."""

    def call(self, action: Action, request: Request) -> None:
        """Calls the service of an action. The answer comes later."""

    def stop(self) -> None:
        """Stops the robot at once, by the topic and by the service."""


@dataclasses.dataclass(frozen=True)
class _Question:
    """An action that waits for a yes. It is asked until `until`, steady s."""

    action: Action
    until: float


class Desk:
    """Takes keys and pedals, and asks the nodes.

    Args:
        board: holds what is known, and shows the question.
        calls: asks the nodes.
    """

    def __init__(self, board: Board, calls: Calls) -> None:
        self._board = board
        self._calls = calls
        self._question: _Question | None = None
        self._key, self._key_at = "", 0.0

    def press(self, key: str, *, now: float) -> bool:
        """Takes a key, and returns whether it means something here.

        While a question stands, Enter is yes and any other key is no, and does nothing else.

        Args:
            key: the name of the key.
            now: the steady time, s.
        """
        if key in STOP_KEYS:
            self._stop()
            return True
        held = key == self._key and now - self._key_at < REPEAT
        self._key, self._key_at = key, now
        if held:
            return True
        question = self._standing(now)
        if question is not None:
            self._drop_question()
            if key == CONFIRM_KEY:
                self._do(question.action)
            return True
        action = action_of_key(key)
        if action is not None:
            self._begin(action, f"Enter: yes. Any other key: no. {shown_key('space')} stops the robot.", now + PATIENCE)
        return action is not None

    def press_pedal(self, name: str, *, now: float) -> None:
        """Takes the action of a pedal. What is asked about is done where the pedal is pressed again in time.

        Args:
            name: the name of the action.
            now: the steady time, s.
        """
        if name == EMERGENCY_STOP:
            self._stop()
            return
        question = self._standing(now)
        self._drop_question()
        action = action_named(name)
        if question is not None and question.action is action:
            self._do(action)
        else:
            self._begin(action, f"Press the pedal again within {PEDAL_AGAIN:g} s: yes.", now + PEDAL_AGAIN)

    def look(self, *, now: float) -> None:
        """Drops a question that nobody has answered in time. `now` is the steady time, s."""
        if self._question is not None and self._standing(now) is None:
            self._drop_question()

    def _stop(self) -> None:
        self._calls.stop()
        self._drop_question()

    def _begin(self, action: Action, how: str, until: float) -> None:
        if action.question:
            self._question = _Question(action, until)
            self._show(f"{action.question}\n{how}")
        else:
            self._do(action)

    def _do(self, action: Action) -> None:
        self._calls.call(action, action.request(self._board.picture))

    def _standing(self, now: float) -> _Question | None:
        question = self._question
        return question if question is not None and now <= question.until else None

    def _drop_question(self) -> None:
        if self._question is not None:
            self._question = None
            self._show("")

    def _show(self, text: str) -> None:
        self._board.change(lambda picture: dataclasses.replace(picture, question=text))
