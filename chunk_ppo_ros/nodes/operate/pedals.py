"""Finds in the messages of a pedal or pad which buttons were pressed. Nothing here needs ROS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SILENCE = 3.0
"""The time after which a pedal that has sent nothing is named, s."""


class Pedals:
    """Turns states of buttons into presses.

    A button that is held counts once. A button that is held when the pedal is heard for the first time, or again after
    it was gone, counts only when it has been released: nobody has pressed it for this.

    Args:
        buttons: the name of the action of each button.
        now: the steady time, s.
    """

    def __init__(self, buttons: Mapping[int, str], *, now: float) -> None:
        self._buttons = buttons
        self._held: frozenset[int] | None = None  # None until the pedal is heard, or heard again
        self._stuck: frozenset[int] = frozenset()
        self._num_buttons = 0
        self._heard = now

    def on_buttons(self, states: Sequence[int], *, now: float) -> list[str]:
        """Returns the actions of the buttons that were pressed since the last message, in the order of the buttons.

        Args:
            states: for each button whether it is down, not 0 for yes.
            now: the steady time, s.
        """
        down = frozenset(button for button, state in enumerate(states) if state)
        self._heard, self._num_buttons = now, len(states)
        if self._held is None:
            self._held, self._stuck = down, down & set(self._buttons)
            return []
        pressed = sorted((down - self._held) & set(self._buttons))
        self._held, self._stuck = down, self._stuck & down
        return [self._buttons[button] for button in pressed]

    def problem(self, *, num_senders: int, topic: str, now: float) -> str:
        """Returns what is wrong with the pedal, or an empty string.

        Args:
            num_senders: how many publishers the topic has.
            topic: the topic, for the text.
            now: the steady time, s.
        """
        if not self._buttons:
            return ""
        if num_senders == 0:
            self._held = None  # Whatever is held when it comes back was pressed for something else.
            return f"no pedal: nobody publishes sensor_msgs/Joy on {topic}; start ros2 run joy joy_node"
        missing = sorted(button for button in self._buttons if self._num_buttons and button >= self._num_buttons)
        if missing:
            return f"the pedal on {topic} has buttons 0..{self._num_buttons - 1}, so button {missing[0]} never comes"
        if self._stuck:
            names = ", ".join(f"{button} ({self._buttons[button]})" for button in sorted(self._stuck))
            return f"button {names} was held when the pedal was first heard; release it, so that it counts"
        if now - self._heard > SILENCE:
            return f"the pedal on {topic} is silent for {now - self._heard:.0f} s (some send only when pressed)"
        return ""
