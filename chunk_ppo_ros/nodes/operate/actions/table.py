"""All that an operator can ask for by a key or a pedal: one table, from which screen, help and documents are made.

`keys.py` has the keys beside it, and `commands.py` finds the action that a command line stands for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from chunk_ppo_msgs.msg import EpisodeEvent

from chunk_ppo_ros.nodes.operate.intake import PLAYER
from chunk_ppo_ros.nodes.operate.picture import Phase, Picture
from chunk_ppo_ros.nodes.wire import services
from chunk_ppo_ros.nodes.wire.services import Service

Request = Mapping[str, Any]
"""The fields of a request by name."""


@dataclasses.dataclass(frozen=True)
class Action:
    """One thing that an operator can ask for.

    Attributes:
        name: its name, by which a pedal is given it.
        key: the key, as the terminal library names it.
        does: what it does, in a few words.
        service: the service that is called.
        offered: whether it makes sense now. The key works at any time, and the node that answers says what is wrong.
        fixed: the fields of the request that are always the same.
        toggled: returns the field `data` of the request, where it depends on what is now.
        label: a word or two for the footer, which may depend on what is now.
        question: what the operator is asked before it is done; empty where nothing is asked.
        long: whether the answer comes only when a motion has ended.
    """

    name: str
    key: str
    does: str
    service: Service
    offered: Callable[[Picture], bool]
    label: Callable[[Picture], str]
    fixed: Request = dataclasses.field(default_factory=dict)
    toggled: Callable[[Picture], bool] | None = None
    question: str = ""
    long: bool = False

    def request(self, picture: Picture) -> Request:
        """Returns the fields of the request."""
        return self.fixed if self.toggled is None else {**self.fixed, "data": self.toggled(picture)}


def _in(*phases: Phase) -> Callable[[Picture], bool]:
    return lambda picture: picture.phase in phases


def _says(label: str) -> Callable[[Picture], str]:
    return lambda picture: label


def _between(picture: Picture) -> bool:
    return picture.phase not in (Phase.RUNNING, Phase.CLOSING)


def _waits_for_confirmation(picture: Picture) -> bool:
    player = picture.statuses.get(PLAYER)
    return player is not None and services.CONFIRM_MOTION.name in player.message


def _is_told_of(service: Service) -> Callable[[Picture], bool]:
    """Returns whether robot_node names a service in what it says of the leaders."""
    return lambda picture: picture.driver is not None and service.path in picture.driver.message


BEFORE_THE_START = (Phase.RESETTING, Phase.READY)
IN_AN_EPISODE = (*BEFORE_THE_START, Phase.RUNNING, Phase.CLOSING)

ACTIONS = (
    Action(
        "start",
        "s",
        "start the episode: the robot moves from now on",
        services.START_EPISODE,
        _in(*BEFORE_THE_START),
        _says("start"),
    ),
    Action(
        "reset_done",
        "r",
        "say that the reset is done, robot and scene are at the start",
        services.RESET_DONE,
        _in(Phase.RESETTING),
        _says("reset done"),
    ),
    Action(
        "reset",
        "a",
        "begin the reset anew",
        services.RESET,
        _in(*BEFORE_THE_START),
        _says("reset anew"),
    ),
    Action(
        "success",
        "y",
        "end the episode as a success",
        services.END_EPISODE,
        _in(Phase.RUNNING),
        _says("success"),
        fixed={"outcome": EpisodeEvent.SUCCESS},
    ),
    Action(
        "failure",
        "n",
        "end the episode as a failure",
        services.END_EPISODE,
        _in(Phase.RUNNING),
        _says("failure"),
        fixed={"outcome": EpisodeEvent.FAILURE},
    ),
    Action(
        "discard",
        "d",
        "discard the episode: nothing of it is trained on",
        services.END_EPISODE,
        _in(*IN_AN_EPISODE),
        _says("discard"),
        fixed={"outcome": EpisodeEvent.DISCARDED},
        question="Discard this episode? Nothing of it will be trained on.",
    ),
    Action(
        "pause",
        "p",
        "pause, or go on after a pause",
        services.PAUSE,
        lambda picture: picture.paused or picture.phase is not Phase.IDLE,
        lambda picture: "go on" if picture.paused else "pause",
        toggled=lambda picture: not picture.paused,
    ),
    Action(
        "takeover",
        "t",
        "take over by the leader arms, or hand back to the policy",
        services.TAKEOVER,
        lambda picture: picture.driver is not None,
        lambda picture: "hand back" if picture.human_drives else "take over",
        toggled=lambda picture: not picture.human_drives,
    ),
    Action(
        "leaders_gripped",
        "g",
        "say that a person holds both leader arms, which then go limp",
        services.LEADERS_GRIPPED,
        _is_told_of(services.LEADERS_GRIPPED),
        _says("leaders gripped"),
    ),
    Action(
        "release_leaders",
        "l",
        "switch the torque of the leader arms off; they fall unless somebody holds them",
        services.RELEASE_LEADERS,
        _is_told_of(services.RELEASE_LEADERS),
        _says("let leaders go"),
        question="Let the leader arms go? They fall unless somebody holds both.",
    ),
    Action(
        "confirm_motion",
        "m",
        "let the robot move after its start, and after a stop was cleared",
        services.CONFIRM_MOTION,
        _waits_for_confirmation,
        _says("confirm motion"),
    ),
    Action(
        "go_to_start_pose",
        "h",
        "move both arms slowly to the start pose (between episodes)",
        services.GO_TO_START_POSE,
        _between,
        _says("start pose"),
        long=True,
    ),
    Action(
        "go_to_sleep_pose",
        "z",
        "move both arms slowly to the sleep pose (between episodes)",
        services.GO_TO_SLEEP_POSE,
        _between,
        _says("sleep pose"),
        question="Move both arms to the sleep pose? Look that the way is free.",
        long=True,
    ),
    Action(
        "stop_motion",
        "x",
        "stop a motion to a pose",
        services.STOP_SCRIPTED_MOTION,
        lambda picture: bool(picture.motion),
        _says("stop motion"),
    ),
    Action(
        "clear_stop",
        "c",
        "clear the emergency stop: look at the robot, and then let it move",
        services.EMERGENCY_STOP,
        lambda picture: bool(picture.stopped),
        _says("clear the stop"),
        fixed={"data": False},
        question="Clear the emergency stop? Look at the robot first.",
    ),
)
"""All of them but the emergency stop, which no question and no other state delays."""

EMERGENCY_STOP = "emergency_stop"
"""The name of the emergency stop, which is asked for by the topic and by the service."""


def action_named(name: str) -> Action:
    """Returns the action of a name."""
    return next(action for action in ACTIONS if action.name == name)
