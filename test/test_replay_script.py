"""Tests the script of a replay by a table of what was recorded in which order, and what is told and awaited."""

from __future__ import annotations

import dataclasses

import pytest

from chunk_ppo_ros.data.bags.bag_messages import MessagePlace
from chunk_ppo_ros.data.bags.storage.stored import Place
from chunk_ppo_ros.nodes.replay.events import Called, Change, Chunk, Delivered, Event, Outcome, Told, Version
from chunk_ppo_ros.nodes.replay.script import (
    ENDED,
    RESET,
    STARTED,
    Await,
    Call,
    Start,
    Step,
    Tell,
    make_script,
    time_of,
)

PLACE = MessagePlace(0, 0, Place(-1, 0, 0))


def told(topic: str, *key: object, stamp: int | None = None, source: str = "") -> Told:
    return Told(0, topic, PLACE, key or None, stamp, source)


def chunk(number: int, episode: int = 0) -> Chunk:
    return Chunk(told("action_chunk", number), number, episode)


def value(number: int) -> Chunk:
    return Chunk(told("bootstrap", number), number, is_value=True)


def result(number: int) -> Told:
    return told("execution_result", number, stamp=number)


def reward(number: int) -> Told:
    return told("task_reward", number, "task", stamp=number, source="task")


def outcome(
    number: int, episode: int = 0, *, valid: bool = True, late: bool = False, by_operator: bool = False
) -> Outcome:
    return Outcome(0, number, episode, number, valid, late, by_operator)


def delivered(number: int, *, accepted: bool = True) -> Delivered:
    return Delivered(0, number, accepted)


FEEDBACK = told("human_feedback")
RESET_0, STARTED_0, ENDED_0 = Change(0, 0, RESET), Change(0, 0, STARTED), Change(0, 0, ENDED)
SUCCESS = Called(0, "end_episode", '{"outcome": 1}', ended=0)
WITH_CHUNK = dataclasses.replace(SUCCESS, waits=True)


def names(steps: list[Step]) -> list[str]:
    """Returns each step in a word."""
    found = []
    for step in steps:
        match step:
            case Tell(Told(topic=topic, key=key)):
                found.append(f"{topic} {key[0]}" if key else topic)
            case Start(_, episode):
                found.append(f"start {episode}")
            case Call(called):
                found.append(called.name)
            case Await(Outcome(number=number, valid=valid)):
                found.append(f"outcome {number}" if valid else f"refused {number}")
            case Await(Delivered(_, number)):
                found.append(f"delivered {number}")
            case Await(Version(_, version)):
                found.append(f"version {version}")
            case Await(Change(_, episode, event)):
                found.append(f"{('reset', 'started', 'ended')[event]} {episode}")
    return found


@pytest.mark.parametrize(
    ("events", "steps"),
    [
        pytest.param(
            [Version(0, 0), Version(0, 0), RESET_0, STARTED_0, chunk(0), chunk(0), result(0), reward(0), outcome(0)],
            [
                *("version 0", "reset 0", "start 0", "started 0", "action_chunk 0", "execution_result 0"),
                *("task_reward 0", "outcome 0"),
            ],
            id="an episode begins; what is repeated is told once",
        ),
        pytest.param(
            [outcome(0), chunk(0), reward(0), result(0)],
            ["action_chunk 0", "task_reward 0", "execution_result 0", "outcome 0"],
            id="an outcome was recorded before what it is made of",
        ),
        pytest.param(
            [chunk(0), result(0), reward(0), FEEDBACK, outcome(0)],
            ["action_chunk 0", "human_feedback", "execution_result 0", "task_reward 0", "outcome 0"],
            id="feedback came before the outcome, and counts for the running chunk",
        ),
        pytest.param(
            [
                *(chunk(0), outcome(0), chunk(1), outcome(0, valid=False, by_operator=True)),
                *(outcome(1, valid=False, by_operator=True), ENDED_0, SUCCESS),
            ],
            ["action_chunk 0", "outcome 0", "end_episode", "action_chunk 1", "refused 1", "ended 0"],
            id="a transition is withdrawn: what completes it is told later, and nobody waits for its refusal",
        ),
        pytest.param(
            [
                *(chunk(0), outcome(0), chunk(1), outcome(0, valid=False, by_operator=True)),
                *(outcome(1, valid=False, by_operator=True), ENDED_0, SUCCESS, delivered(0, accepted=False)),
            ],
            ["action_chunk 0", "outcome 0", "end_episode", "action_chunk 1", "refused 1", "ended 0"],
            id="the trainer answered a withdrawn transition that its episode is discarded",
        ),
        pytest.param(
            [
                *(chunk(0), outcome(0), chunk(1), outcome(0, valid=False, by_operator=True)),
                *(outcome(1, valid=False, by_operator=True), ENDED_0, SUCCESS, delivered(0)),
            ],
            ["action_chunk 0", "outcome 0", "action_chunk 1", "delivered 0", "end_episode", "refused 1", "ended 0"],
            id="the trainer had taken a transition that reward_node withdrew",
        ),
        pytest.param(
            [chunk(0), outcome(0), value(0), outcome(0, valid=False, by_operator=True), ENDED_0, SUCCESS],
            ["action_chunk 0", "outcome 0", "end_episode", "ended 0"],
            id="a chunk is withdrawn whose value has come",
        ),
        pytest.param(
            [chunk(0), outcome(0), delivered(0), chunk(1)],
            ["action_chunk 0", "outcome 0", "action_chunk 1", "delivered 0"],
            id="a transition needs the value of the next chunk",
        ),
        pytest.param(
            [chunk(0), outcome(0), delivered(0), value(0), chunk(1)],
            ["action_chunk 0", "outcome 0", "bootstrap 0", "delivered 0", "action_chunk 1"],
            id="or that of its bootstrap, which may be recorded late",
        ),
        pytest.param(
            [chunk(0), outcome(0), delivered(0), chunk(1, episode=1)],
            ["action_chunk 0", "outcome 0", "delivered 0", "action_chunk 1"],
            id="the next episode has no value for it",
        ),
        pytest.param(
            [chunk(0), outcome(0), chunk(1), ENDED_0, SUCCESS, outcome(1, valid=False, late=True)],
            ["action_chunk 0", "outcome 0", "end_episode", "ended 0", "action_chunk 1", "refused 1"],
            id="a call is recorded after what it changed, and a chunk came too late",
        ),
        pytest.param(
            [WITH_CHUNK, chunk(0), result(0), reward(0), outcome(0), ENDED_0],
            ["action_chunk 0", "end_episode", "execution_result 0", "task_reward 0", "outcome 0", "ended 0"],
            id="an episode ends with the chunk that ran when the operator called",
        ),
        pytest.param(
            [chunk(0), outcome(0), chunk(1), outcome(1, valid=False, by_operator=True), ENDED_0, SUCCESS, result(1)],
            [
                *("action_chunk 0", "outcome 0", "action_chunk 1", "end_episode", "execution_result 1", "refused 1"),
                "ended 0",
            ],
            id="an operator discards an episode with its running chunk",
        ),
        pytest.param(
            [chunk(0), outcome(0), outcome(0), outcome(0, valid=False)],
            ["action_chunk 0", "outcome 0", "refused 0"],
            id="an outcome is withdrawn",
        ),
        pytest.param(
            [Called(0, "pause", '{"data": true}'), result(5), Change(0, 0, 3)],
            ["pause", "execution_result 5"],
            id="a pause is called, and a report that nobody judged is told at its time",
        ),
    ],
)
def test_what_is_told_and_awaited(events: list[Event], steps: list[str]) -> None:
    assert names(make_script(events)) == steps


def test_each_step_has_the_time_of_the_recording() -> None:
    events: list[Event] = [
        Version(1, 0),
        Change(2, 0, STARTED),
        dataclasses.replace(FEEDBACK, time=3),
        Called(4, "pause", ""),
    ]
    assert [time_of(step) for step in make_script(events)] == [1, 2, 2, 3, 4]
