"""Decides what stands largest on the screen: what is waited for, and the key that ends the wait."""

from __future__ import annotations

import dataclasses
import enum
import re

from chunk_ppo_ros.config.flags import command_line
from chunk_ppo_ros.nodes.operate.actions.commands import action_of_command, with_keys
from chunk_ppo_ros.nodes.operate.actions.keys import shown_key
from chunk_ppo_ros.nodes.operate.actions.table import Action, action_named
from chunk_ppo_ros.nodes.operate.intake import PLAYER
from chunk_ppo_ros.nodes.operate.picture import Episode, Level, Phase, Picture
from chunk_ppo_ros.nodes.wire import services
from chunk_ppo_ros.robot.leaders.handover import Leaders

NEEDED = ("reward_node", "robot_node", "policy_node")
"""The nodes without which no episode runs."""
SILENCE = 3.0
"""The time after which the last news of reward_node are called old, s. It publishes once a second."""


class Kind(enum.Enum):
    """What a headline is about, which decides how it looks."""

    STOP = "stop"
    LOST = "lost"
    WAIT = "wait"
    RUN = "run"


@dataclasses.dataclass(frozen=True)
class Headline:
    """The largest text of the screen.

    Attributes:
        kind: what it is about.
        title: the state in capitals.
        waits_for: what is waited for, or what happens; empty where the title says it.
        key: the key that ends the wait, as it is written; empty where none does.
        does: what the key does, in a few words, or what to do where no key does it.
        command: the command line that does the same; empty where there is none.
    """

    kind: Kind
    title: str
    waits_for: str
    key: str = ""
    does: str = ""
    command: str = ""


def headline(picture: Picture, *, now: float) -> Headline:
    """Returns the headline of a picture. What is worse goes before what is less bad. `now` is the steady time, s."""
    episode = picture.episode
    before = _question(picture) or _stopped(picture) or _lost(picture, now)
    if before is not None or episode is None:
        return before or Headline(Kind.LOST, "NO NEWS YET", "reward_node has told nothing yet; nodes may still load.")
    return (
        _paused(picture, episode)
        or _leaders(picture)
        or _final(picture)
        or _waits(picture)
        or _robot_stands(picture)
        or _goes_on(picture, episode)
    )


def _press(kind: Kind, title: str, waits_for: str, action: Action, picture: Picture, command: str = "") -> Headline:
    title = f"{title} · WAITS FOR YOU" if kind is Kind.WAIT else title
    return Headline(kind, title, waits_for, shown_key(action.key), action.label(picture), command)


def _question(picture: Picture) -> Headline | None:
    if not picture.question:
        return None
    question, _, how = picture.question.partition("\n")
    return Headline(Kind.STOP, "ARE YOU SURE?", question, "", how)


def _stopped(picture: Picture) -> Headline | None:
    if not picture.stopped:
        return None
    text = "The robot holds until the stop is cleared. Look at it first."
    return _press(Kind.STOP, "EMERGENCY STOP", text, action_named("clear_stop"), picture)


def _lost(picture: Picture, now: float) -> Headline | None:
    """Returns the headline where no graph is found, or not the whole of it."""
    place = picture.place
    where = f"ROS_DOMAIN_ID={place.domain}, {place.discovery}, namespace {place.namespace or '/'}"
    if picture.nodes is None:
        return Headline(Kind.LOST, "LOOKING FOR THE GRAPH", where)
    if not picture.nodes:
        start = (
            f"Start it by: {command_line('graph')} --domain_id {place.domain}. Or leave (q), and name the domain "
            "of your graph by --domain_id."
        )
        return Headline(Kind.LOST, "NO GRAPH HERE", where, "", start)
    missing = [name for name in NEEDED if name not in picture.nodes]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        gone = "gone" if set(missing) & set(picture.gone) else "not here"
        return Headline(Kind.LOST, f"{' AND '.join(missing).upper()} {verb.upper()} {gone.upper()}", where)
    silence = 0.0 if picture.episode is None else now - picture.episode.heard
    if silence > SILENCE:
        return Headline(Kind.LOST, "OLD NEWS", f"reward_node is silent for {silence:.0f} s.")
    return None


def _paused(picture: Picture, episode: Episode) -> Headline | None:
    if not episode.paused:
        return None
    title, text = f"EPISODE {episode.number} IS PAUSED", _sentence(picture, episode)
    action = action_of_command(episode.command)
    if action is None:
        return Headline(Kind.RUN, title, text)
    return _press(Kind.WAIT, title, text, action, picture, episode.command)


def _leaders(picture: Picture) -> Headline | None:
    """Returns what a person at the leader arms must do at a takeover or a hand-back.

    Leaders that hold long after a hand-back are no wait: the footer offers to let them go.
    """
    driver = picture.driver
    if driver is None or not driver.message:
        return None
    text, action = f"{with_keys(driver.message)}.", action_of_command(driver.message)
    if action is not None and action.service is services.LEADERS_GRIPPED:
        return _press(Kind.WAIT, "GRIP BOTH LEADER ARMS", text, action, picture)
    if driver.leaders is Leaders.ALIGNING:
        return Headline(Kind.RUN, "KEEP CLEAR: THE LEADERS MOVE", text)
    if driver.leaders is Leaders.HOLDING and action is None:
        return Headline(Kind.WAIT, "KEEP HOLDING THE LEADER ARMS", text)
    return None


def _final(picture: Picture) -> Headline | None:
    if picture.rollout is None or not picture.rollout.final:
        return None
    return Headline(Kind.RUN, "THE RUN HAS REACHED ITS END", f"The last policy version is {picture.rollout.version}.")


def _waits(picture: Picture) -> Headline | None:
    """Returns what a person is waited for, as reward_node says it."""
    episode = picture.episode
    if episode is None or not episode.command:
        return None
    title, text = _title(episode), _sentence(picture, episode)
    action = action_of_command(episode.command)
    if action is None:
        return Headline(Kind.WAIT, f"{title} · WAITS FOR YOU", text, "", episode.command)
    return _press(Kind.WAIT, title, text, action, picture, episode.command)


def _robot_stands(picture: Picture) -> Headline | None:
    player = picture.statuses.get(PLAYER)
    if player is None or player.level < Level.ERROR:
        return None
    action, text = action_of_command(player.message), with_keys(player.message)
    if action is not None:
        return _press(Kind.WAIT, "THE ROBOT STANDS", text, action, picture)
    return Headline(Kind.WAIT, "THE ROBOT STANDS", text)


def _goes_on(picture: Picture, episode: Episode) -> Headline:
    """Returns what happens where nobody is waited for."""
    title, text = _title(episode), _sentence(picture, episode)
    if picture.motion:
        moves = f"The robot moves: {picture.motion}."
        return _press(Kind.RUN, title, moves, action_named("stop_motion"), picture)
    if episode.mark:
        return Headline(Kind.RUN, title, f"It ends as {episode.mark} with the running chunk.")
    if episode.phase is not Phase.RUNNING:
        return Headline(Kind.RUN, title, text)
    who = "A human drives" if picture.human_drives else "The policy drives"
    does = "success     n failure     d discard"
    return Headline(Kind.RUN, title, f"{who}. {text}", shown_key(action_named("success").key), does)


def _title(episode: Episode) -> str:
    titles = {
        Phase.IDLE: "BETWEEN EPISODES" if episode.run_id else "NO RUN YET",
        Phase.RESETTING: f"EPISODE {episode.number}: RESET",
        Phase.READY: f"EPISODE {episode.number} IS READY",
        Phase.RUNNING: f"EPISODE {episode.number} RUNS",
        Phase.CLOSING: f"EPISODE {episode.number} ENDS",
    }
    return titles[episode.phase]


def _sentence(picture: Picture, episode: Episode) -> str:
    """Returns what is waited for as a sentence. Where a node is, what that node says of itself stands with it."""
    text = episode.waits_for
    if not text:
        return "Nothing is waited for."
    awaited = re.match(r"(\w+_node) .*?(; its own status says .*)", text)
    if awaited is not None:
        status = picture.statuses.get(awaited[1])
        said = "" if status is None else f" ({status.message})"
        text = text.removesuffix(awaited[2]) + said
    return f"Waits for {with_keys(text)}."
