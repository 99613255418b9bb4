"""The settings of an operator's screen: what the buttons of pedals and pads do."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from chunk_ppo_ros.config.schema import Checked, setting

PEDAL_ACTIONS = (
    "emergency_stop",
    "start",
    "reset_done",
    "reset",
    "success",
    "failure",
    "discard",
    "pause",
    "takeover",
    "leaders_gripped",
    "release_leaders",
    "confirm_motion",
    "go_to_start_pose",
    "stop_motion",
)
"""What a button can be given. Whatever may only be done by somebody who looks at the screen is not among them."""

_TOPIC = re.compile(r"(~?/)?[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)
"""The name of a topic (https://design.ros2.org/articles/topic_and_service_names.html)."""


@dataclasses.dataclass(frozen=True)
class OperateConfig(Checked):
    """Settings of the command operate, which docs/operate.md explains."""

    joy_buttons: tuple[str, ...] = setting(
        (),
        "what buttons of a pedal or pad do, as BUTTON=ACTION, where BUTTON counts from 0 in sensor_msgs/Joy and ACTION "
        f"is one of {', '.join(PEDAL_ACTIONS)}",
        graph_only=True,
    )
    joy_topic: str = setting("joy", "topic of sensor_msgs/Joy that the buttons are read from", graph_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.buttons  # noqa: B018 - Entries that cannot be read are refused now.
        if not _TOPIC.fullmatch(self.joy_topic):
            raise ValueError(
                f"operate.joy_topic must be the name of a topic, got '{self.joy_topic}'; take joy where there is no "
                "pedal"
            )

    @property
    def buttons(self) -> Mapping[int, str]:
        """The action of each button that has one."""
        return parse_joy_buttons(self.joy_buttons)


def parse_joy_buttons(entries: tuple[str, ...]) -> dict[int, str]:
    """Returns the action of each button. An entry may hold several, separated by spaces, as a quoted flag has them.

    Raises:
        ValueError: for an entry that is no BUTTON=ACTION, an unknown action, or a button that stands there twice.
    """
    buttons: dict[int, str] = {}
    for entry in " ".join(str(entry) for entry in entries).split():
        button, _, action = entry.partition("=")
        if not button.isdecimal() or action not in PEDAL_ACTIONS:
            raise ValueError(
                "operate.joy_buttons must be entries BUTTON=ACTION, with a BUTTON from 0 and an ACTION of "
                f"{', '.join(PEDAL_ACTIONS)}, got '{entry}'; write for example 0=success"
            )
        if int(button) in buttons:
            raise ValueError(
                f"operate.joy_buttons must give button {button} one action, got '{entry}' beside "
                f"'{button}={buttons[int(button)]}'; leave one out"
            )
        buttons[int(button)] = action
    return buttons
