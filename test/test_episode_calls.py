"""Tests what each call of an operator does in each state of an episode: the table of docs/episodes.md."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest

from chunk_ppo_ros.config import EnvConfig
from chunk_ppo_ros.rewards.episodes import Ending, Event, Phase
from support.episode_rig import CALLS, EpisodeRig

IDLE, RESETTING, READY, RUNNING = Phase.IDLE, Phase.RESETTING, Phase.READY, Phase.RUNNING
RIG = Callable[..., EpisodeRig]


@pytest.fixture
def make_rig(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> RIG:
    return lambda **settings: EpisodeRig(tmp_path, monkeypatch, **settings)


def no_run(make_rig: RIG) -> EpisodeRig:
    return make_rig(run_id="")


def training_over(make_rig: RIG) -> EpisodeRig:
    rig = make_rig()
    rig.control.director.final = True
    rig.control.director.publish(rig.records.episodes.end(Ending.NONE, "training has reached its end"))
    return rig


def by_operator(make_rig: RIG) -> EpisodeRig:
    rig = make_rig()
    rig.tick()
    return rig


def scripted(make_rig: RIG) -> EpisodeRig:
    rig = make_rig(reset="scripted")
    rig.tick()
    return rig


def scripted_refused(make_rig: RIG) -> EpisodeRig:
    rig = scripted(make_rig)
    rig.start_pose.answer(False, "the motion is refused: the emergency stop is pressed")
    rig.tick()
    return rig


def scripted_stopped(make_rig: RIG) -> EpisodeRig:
    rig = scripted(make_rig)
    rig.tick(3.0)
    rig.start_pose.answer(False, "ended as FAULT: an arm is blocked")
    rig.tick()
    return rig


def teleoperated(make_rig: RIG) -> EpisodeRig:
    rig = make_rig(reset="teleoperated")
    rig.tick()
    rig.take_over(True)
    return rig


def handing_back(make_rig: RIG) -> EpisodeRig:
    rig = teleoperated(make_rig)
    rig.call("reset_done")
    rig.tick()
    return rig


def ready(make_rig: RIG) -> EpisodeRig:
    rig = by_operator(make_rig)
    rig.call("reset_done")
    return rig


def running(make_rig: RIG) -> EpisodeRig:
    rig = by_operator(make_rig)
    rig.call("start_episode")
    return rig


def in_a_chunk(make_rig: RIG) -> EpisodeRig:
    rig = running(make_rig)
    rig.run_chunk()
    return rig


def marked(make_rig: RIG) -> EpisodeRig:
    rig = in_a_chunk(make_rig)
    rig.call("success")
    return rig


def paused(make_rig: RIG) -> EpisodeRig:
    rig = running(make_rig)
    rig.call("pause")
    return rig


def closing(make_rig: RIG) -> EpisodeRig:
    rig = running(make_rig)
    rig.reach_time_limit()
    return rig


def refused(text: str, phase: Phase) -> tuple[bool, str, Phase]:
    return False, text, phase


def done(text: str, phase: Phase) -> tuple[bool, str, Phase]:
    return True, text, phase


NEVER_BEGAN = {
    "start_episode": refused("an episode can start only after a reset; there is no episode", IDLE),
    "reset_done": refused("no reset is under way: there is no episode", IDLE),
    "reset": refused("a reset can begin anew only before the start of an episode; there is no episode", IDLE),
    "success": refused("no episode can end as SUCCESS: there is no episode", IDLE),
    "failure": refused("no episode can end as FAILURE: there is no episode", IDLE),
    "discard": refused("no episode can end as DISCARDED: there is no episode", IDLE),
    "pause": done("paused", IDLE),
    "go on": done("not paused", IDLE),
}
UNSTARTED = {
    "reset": done("the reset of episode 0 begins anew", RESETTING),
    "success": refused("no episode can end as SUCCESS: the scene is being reset", RESETTING),
    "failure": refused("no episode can end as FAILURE: the scene is being reset", RESETTING),
    "discard": done("episode 0 ends as DISCARDED", RESETTING),
    "pause": done("paused", RESETTING),
    "go on": done("not paused", RESETTING),
}
STARTED = {
    "start_episode": refused("an episode can start only after a reset; an episode runs", RUNNING),
    "reset_done": refused("no reset is under way: an episode runs", RUNNING),
    "reset": refused("no reset can begin while episode 0 runs; end it first by the service end_episode", RUNNING),
    "success": done("episode 0 ends as SUCCESS", RESETTING),
    "failure": done("episode 0 ends as FAILURE", RESETTING),
    "discard": done("episode 0 ends as DISCARDED", RESETTING),
    "pause": done("paused", RUNNING),
    "go on": done("not paused", RUNNING),
}
MOVES = "it waits for robot_node to move the arms to the start pose"
LEADS = "it waits for a person to reset the scene by the leader arms"
BACK = "it waits for robot_node to take the robot back from the person who drives"
NOT_DONE = "the reset of episode 0 is not done"

TABLE: dict[Callable[[RIG], EpisodeRig], dict[str, tuple[bool, str, Phase]]] = {
    no_run: NEVER_BEGAN,
    training_over: {
        name: (ok, text + "; episode 0 has ended without an outcome" if "can end as" in text else text, phase)
        for name, (ok, text, phase) in NEVER_BEGAN.items()
    },
    by_operator: UNSTARTED
    | {
        "start_episode": done("episode 0 has started", RUNNING),
        "reset_done": done("episode 0 is ready", READY),
    },
    scripted: UNSTARTED
    | {
        "start_episode": refused(f"{NOT_DONE} (scripted); {MOVES}", RESETTING),
        "reset_done": refused(f"the reset is not done: {MOVES}", RESETTING),
    },
    scripted_refused: UNSTARTED
    | {
        "start_episode": refused(
            f"{NOT_DONE} (scripted); it waits for robot_node, which does not move the arms to the start pose "
            "(the emergency stop is pressed); it is asked again every second",
            RESETTING,
        ),
        "reset_done": done("episode 0 is ready", READY),
    },
    scripted_stopped: UNSTARTED
    | {
        "start_episode": refused(
            f"{NOT_DONE} (scripted); it waits for a person, because the motion to the start pose ended as FAULT: an "
            "arm is blocked; bring robot and scene to the start and call reset_done, or let the reset begin anew by "
            "the service reset",
            RESETTING,
        ),
        "reset_done": done("episode 0 is ready", READY),
    },
    teleoperated: UNSTARTED
    | {
        "start_episode": refused(f"{NOT_DONE} (teleoperated); {LEADS}", RESETTING),
        "reset_done": done("the reset of episode 0 goes on, because a person says that the scene is ready", RESETTING),
    },
    handing_back: UNSTARTED
    | {
        "start_episode": refused(f"{NOT_DONE} (teleoperated); {BACK}", RESETTING),
        "reset_done": refused(f"the reset is not done: {BACK}", RESETTING),
    },
    ready: {
        "start_episode": done("episode 0 has started", RUNNING),
        "reset_done": refused("no reset is under way: the episode waits for its start", READY),
        "reset": done("the reset of episode 0 begins anew", RESETTING),
        "success": refused("no episode can end as SUCCESS: the episode waits for its start", READY),
        "failure": refused("no episode can end as FAILURE: the episode waits for its start", READY),
        "discard": done("episode 0 ends as DISCARDED", RESETTING),
        "pause": done("paused", READY),
        "go on": done("not paused", READY),
    },
    running: STARTED,
    in_a_chunk: STARTED
    | {
        "success": done("episode 0 ends as SUCCESS with the running chunk", RUNNING),
        "failure": done("episode 0 ends as FAILURE with the running chunk", RUNNING),
    },
    marked: STARTED
    | {
        "success": done("episode 0 ends as SUCCESS with the running chunk", RUNNING),
        "failure": done("episode 0 ends as FAILURE (was SUCCESS) with the running chunk", RUNNING),
        "discard": done("episode 0 ends as DISCARDED (was SUCCESS)", RESETTING),
    },
    paused: STARTED,
    closing: STARTED,
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("situation", TABLE, ids=lambda situation: situation.__name__)
def test_each_call_in_each_state(make_rig: RIG, situation: Callable[[RIG], EpisodeRig], name: str) -> None:
    rig = situation(make_rig)
    rig.node.published("operator_call")
    success, text, phase = TABLE[situation][name]
    assert (*rig.call(name), rig.phase) == (success, text, phase)
    (told,) = rig.node.published("operator_call")  # A recording tells each call and its answer.
    assert (told.name, told.success, told.message) == (CALLS[name][0], success, text)


def test_a_mark_after_the_end_is_refused_with_what_the_episode_ended_as(make_rig: RIG) -> None:
    rig = running(make_rig)
    rig.call("failure")
    late = (False, "no episode can end as SUCCESS: the scene is being reset; episode 0 has ended as FAILURE")
    assert rig.call("success") == late
    rig.begin_run("other")
    assert rig.call("success")[1].endswith("the scene is being reset")  # Nothing of this run has ended.


def test_the_mark_that_waits_is_in_the_state_and_a_contradiction_is_logged(make_rig: RIG) -> None:
    rig = in_a_chunk(make_rig)
    assert rig.state().mark == Ending.NONE
    rig.call("success")
    assert rig.state().mark == Ending.SUCCESS
    rig.node.take_lines()
    rig.call("failure")
    assert rig.state().mark == Ending.FAILURE
    text = "episode 0 ends as FAILURE (was SUCCESS): the operator has changed the mark"
    assert ("warning", text) in rig.node.take_lines()


def test_each_change_says_who_caused_it(make_rig: RIG) -> None:
    rig = ready(make_rig)
    rig.call("reset")
    rig.call("start_episode")
    rig.call("success")
    told = [(event.event, event.message) for event in rig.node.published("episode_event")]
    assert told == [
        (Event.RESET, "the run begins"),
        (Event.READY, "by the service reset_done"),
        (Event.RESET, "by the service reset"),
        (Event.STARTED, "by the service start_episode"),
        (Event.ENDED, "by the operator"),
        (Event.RESET, "the next episode"),
    ]


@pytest.mark.parametrize("situation", [by_operator, ready])
def test_no_episode_of_a_robot_starts_while_a_human_drives(
    make_rig: RIG, situation: Callable[[RIG], EpisodeRig]
) -> None:
    """The episode would count as one in which a human took over, although nobody meant that."""
    rig = situation(make_rig)
    rig.take_over(True)
    success, message = rig.call("start_episode")
    assert not success and "hand back first by the service takeover with data: false" in message
    rig.take_over(False)
    assert rig.call("start_episode") == (True, "episode 0 has started")


def test_an_episode_starts_by_itself_where_nobody_has_paused_or_drives(make_rig: RIG) -> None:
    rig = make_rig(start_automatically=True)
    rig.tick()
    assert rig.phase is RESETTING
    rig.call("pause")
    rig.take_over(True)
    rig.call("reset_done")
    rig.tick()
    assert rig.phase is READY
    rig.call("go on")
    rig.tick()
    assert rig.phase is READY
    rig.take_over(False)
    rig.tick()
    assert rig.phase is RUNNING
    assert rig.node.published("episode_event")[-1].message == "by itself (episode.start_automatically)"


def test_a_simulation_starts_its_episodes_as_before(make_rig: RIG) -> None:
    rig = make_rig(env=EnvConfig(simulator="kinematic"))
    rig.tick()
    assert rig.call("start_episode") == (True, "episode 0 has started")
    assert [event for _, event, _ in rig.events()] == [Event.RESET, Event.STARTED]
