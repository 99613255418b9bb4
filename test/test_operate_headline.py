"""Tests what stands largest on the operator's screen: the worst first, with the key that ends a wait."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from chunk_ppo_ros.nodes.operate.headline import Headline, Kind, headline
from chunk_ppo_ros.nodes.operate.intake import PLAYER
from chunk_ppo_ros.nodes.operate.panels import warning_lines
from chunk_ppo_ros.nodes.operate.picture import Driver, Level, Phase, Picture, Rollout, Status
from chunk_ppo_ros.nodes.wire import services
from chunk_ppo_ros.robot.leaders.handover import Leaders
from support.operator_pictures import PLACE, READY, in_episode, running

RESET: dict[str, Any] = {
    "phase": Phase.RESETTING,
    "waits_for": "an operator to bring robot and scene to the start, and to start the episode",
    "command": READY["command"],
}
GRIPPED, RELEASE = services.LEADERS_GRIPPED.command, services.RELEASE_LEADERS.command
GO_ON = services.PAUSE.command_in("", "{data: false}")
REPAIR = "a person; repair it and call reset_done"
RESET_DONE = services.RESET_DONE.command_in("/robots")


def shown(picture: Picture) -> Headline:
    """Returns the headline at the time of the picture's news."""
    return headline(picture, now=0.0 if picture.episode is None else picture.episode.heard)


def status(level: Level, message: str, name: str = PLAYER, **values: str) -> dict[str, Status]:
    return {name: Status(name, level, message, values)}


@pytest.mark.parametrize(
    ("picture", "kind", "title", "waits_for", "key"),
    [
        (Picture(PLACE), Kind.LOST, "LOOKING FOR THE GRAPH", "ROS_DOMAIN_ID=37, this machine only, namespace /", ""),
        (Picture(PLACE, nodes=frozenset()), Kind.LOST, "NO GRAPH HERE", "ROS_DOMAIN_ID=37", ""),
        (running(nodes=frozenset({"reward_node", "robot_node"})), Kind.LOST, "POLICY_NODE IS NOT HERE", "", ""),
        (
            running(nodes=frozenset({"reward_node"}), gone=("robot_node",)),
            Kind.LOST,
            "ROBOT_NODE AND POLICY_NODE ARE GONE",
            "",
            "",
        ),
        (running(episode=None), Kind.LOST, "NO NEWS YET", "reward_node has told nothing yet", ""),
        (running(), Kind.RUN, "EPISODE 12 RUNS", "The policy drives. Nothing is waited for.", "y"),
        (running(driver=Driver(True, Leaders.LIMP, "")), Kind.RUN, "EPISODE 12 RUNS", "A human drives.", "y"),
        (in_episode(mark="SUCCESS"), Kind.RUN, "EPISODE 12 RUNS", "It ends as SUCCESS with the running chunk.", ""),
        (
            in_episode(waits_for="trainer_node to make its update"),
            Kind.RUN,
            "EPISODE 12 RUNS",
            "The policy drives. Waits for trainer_node to make its update.",
            "y",
        ),
        (in_episode(**RESET), Kind.WAIT, "EPISODE 12: RESET · WAITS FOR YOU", "Waits for an operator to bring", "s"),
        (in_episode(**READY), Kind.WAIT, "EPISODE 12 IS READY · WAITS FOR YOU", "Waits for the start", "s"),
        (
            in_episode(phase=Phase.RESETTING, waits_for=REPAIR, command=RESET_DONE),
            Kind.WAIT,
            "EPISODE 12: RESET · WAITS FOR YOU",
            "Waits for a person",
            "r",
        ),
        (in_episode(phase=Phase.IDLE), Kind.RUN, "BETWEEN EPISODES", "Nothing is waited for.", ""),
        (in_episode(phase=Phase.IDLE, run_id=""), Kind.RUN, "NO RUN YET", "", ""),
        (in_episode(phase=Phase.CLOSING, waits_for="policy_node"), Kind.RUN, "EPISODE 12 ENDS", "Waits for", ""),
        (
            in_episode(paused=True, waits_for="the end of the pause (by the operator)", command=GO_ON),
            Kind.WAIT,
            "EPISODE 12 IS PAUSED · WAITS FOR YOU",
            "Waits for the end of the pause (by the operator).",
            "p",
        ),
        (
            in_episode(paused=True, waits_for="trainer_node, and is paused until then"),
            Kind.RUN,
            "EPISODE 12 IS PAUSED",
            "Waits for trainer_node",
            "",
        ),
        (running(stopped=True), Kind.STOP, "EMERGENCY STOP", "The robot holds", "c"),
        (running(question="Really?\nEnter: yes."), Kind.STOP, "ARE YOU SURE?", "Really?", ""),
        (
            running(driver=Driver(False, Leaders.ALIGNING, "the left leader moves")),
            Kind.RUN,
            "KEEP CLEAR: THE LEADERS MOVE",
            "the left leader moves.",
            "",
        ),
        (
            running(driver=Driver(True, Leaders.HOLDING, f"close both leader grippers, or call {GRIPPED}")),
            Kind.WAIT,
            "GRIP BOTH LEADER ARMS · WAITS FOR YOU",
            "close both leader grippers, or press g.",
            "g",
        ),
        (
            running(driver=Driver(True, Leaders.FREE, f"bring the leaders here, or call {GRIPPED}")),
            Kind.WAIT,
            "GRIP BOTH LEADER ARMS · WAITS FOR YOU",
            "bring the leaders here",
            "g",
        ),
        (
            running(driver=Driver(False, Leaders.HOLDING, "keep holding the leaders")),
            Kind.WAIT,
            "KEEP HOLDING THE LEADER ARMS",
            "keep holding the leaders.",
            "",
        ),
        (running(driver=Driver(False, Leaders.HOLDING, f"call {RELEASE}")), Kind.RUN, "EPISODE 12 RUNS", "The", "y"),
        (running(rollout=Rollout(99, 0, 128, True)), Kind.RUN, "THE RUN HAS REACHED ITS END", "The last", ""),
        (
            running(statuses=status(Level.ERROR, "the robot does not move: call confirm_motion")),
            Kind.WAIT,
            "THE ROBOT STANDS · WAITS FOR YOU",
            "the robot does not move",
            "m",
        ),
        (running(statuses=status(Level.ERROR, "stopped: no torque")), Kind.WAIT, "THE ROBOT STANDS", "stopped", ""),
        (running(motion="start pose"), Kind.RUN, "EPISODE 12 RUNS", "The robot moves: start pose.", "x"),
    ],
)
def test_the_headline_says_what_is_waited_for(
    picture: Picture, kind: Kind, title: str, waits_for: str, key: str
) -> None:
    found = shown(picture)
    assert (found.kind, found.title, found.key) == (kind, title, key)
    assert found.waits_for.startswith(waits_for)


def test_where_there_is_no_graph_the_domain_and_a_command_are_named() -> None:
    found = shown(Picture(dataclasses.replace(PLACE, namespace="/lab"), nodes=frozenset()))
    assert found.waits_for == "ROS_DOMAIN_ID=37, this machine only, namespace /lab"
    assert "chunk_ppo graph --domain_id 37" in found.does


def test_what_is_worse_goes_before() -> None:
    everything = in_episode(paused=True, waits_for="the end of the pause", command=GO_ON)
    everything = dataclasses.replace(everything, driver=Driver(True, Leaders.HOLDING, GRIPPED), stopped=True)
    asked = dataclasses.replace(everything, question="Clear?\nEnter: yes.")
    titles = [shown(asked).title, shown(everything).title, shown(dataclasses.replace(everything, stopped=False)).title]
    assert titles == ["ARE YOU SURE?", "EMERGENCY STOP", "EPISODE 12 IS PAUSED · WAITS FOR YOU"]


def test_a_node_that_is_waited_for_says_itself_what_it_does() -> None:
    waits_for = "policy_node to sample the next chunk; its own status says what it waits for"
    said = status(Level.OK, "active; cam_high is silent", name="policy_node")
    picture = dataclasses.replace(in_episode(waits_for=waits_for), statuses=said)
    assert shown(picture).waits_for == (
        "The policy drives. Waits for policy_node to sample the next chunk (active; cam_high is silent)."
    )
    silent = shown(dataclasses.replace(picture, statuses={}))
    assert silent.waits_for == "The policy drives. Waits for policy_node to sample the next chunk."


@pytest.mark.parametrize(
    ("others", "lines"), [("", []), ("; the disk is full", ["WARN reward_node: episode 12 ready; the disk is full"])]
)
def test_what_stands_in_the_headline_is_no_warning_too(others: str, lines: list[str]) -> None:
    values = {"waits for": READY["waits_for"], "command": READY["command"]}
    message = f"episode 12 ready; waits for {READY['waits_for']}: {READY['command']}{others}"
    statuses = {"reward_node": Status("reward_node", Level.WARN, message, values)}
    assert warning_lines(running(statuses=statuses)) == lines
