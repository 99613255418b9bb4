"""Has stories of a rollout: events that policy_node reports, and the step that must follow each story."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from chunk_ppo_ros.agent.next_step.announced_version import Announcement
from chunk_ppo_ros.agent.next_step.rollout_state import RolloutState
from chunk_ppo_ros.agent.next_step.rollout_steps import Bootstrap, EncodeSegment, SampleChunk, Step
from chunk_ppo_ros.core.types import ChunkId
from chunk_ppo_ros.robot.sensor_sync import SyncedSensors

Event = Callable[[RolloutState], None]
VERSION_0 = Announcement("run", 0, num_accepted=0, num_required=3)


def announced(**changes: object) -> Event:
    return lambda state: state.announce(dataclasses.replace(VERSION_0, **changes))


def loaded(version: int = 0) -> Event:
    return lambda state: state.weights.loaded(version)


def active(state: RolloutState) -> None:
    state.activate()


def inactive(state: RolloutState) -> None:
    state.deactivate()


def dropped(state: RolloutState) -> None:
    state.weights.drop()


def robot(*, active: bool) -> Event:
    return lambda state: state.robot_changed(active=active)


def prompt_of(episode: int) -> str:
    """Returns the prompt of an episode, which is another one in each."""
    return f"task {episode}"


def reset(episode: int) -> Event:
    return lambda state: state.episode_reset(episode, prompt=prompt_of(episode))


def started(episode: int, stamp: int = 0) -> Event:
    return lambda state: state.episode_started(episode, prompt=prompt_of(episode), stamp=stamp)


def paused(episode: int) -> Event:
    return lambda state: state.episode_paused(episode, prompt=prompt_of(episode), paused=True, stamp=0)


def resumed(episode: int, stamp: int = 0) -> Event:
    return lambda state: state.episode_paused(episode, prompt=prompt_of(episode), paused=False, stamp=stamp)


def ended(episode: int, **how: bool) -> Event:
    return lambda state: state.episode_ended(episode, **how)


def chunk(number: int, episode: int = 0, within: int | None = None) -> ChunkId:
    return ChunkId("run", number, episode, number if within is None else within)


def sampled(number: int, episode: int = 0, within: int | None = None, *, stamp: int = 0) -> Event:
    """Checks that the state asks for exactly this chunk, and sends it with a stamp."""

    def event(state: RolloutState) -> None:
        step = state.next_step()
        assert isinstance(step, SampleChunk)
        assert step.chunk == chunk(number, episode, within)
        assert step.prompt == prompt_of(episode)
        state.chunk_sent(step, stamp=stamp)

    return event


def bootstrapped(number: int, episode: int = 0) -> Event:
    """Checks that the state asks for exactly this bootstrap, and sends it."""

    def event(state: RolloutState) -> None:
        step = state.next_step()
        assert isinstance(step, Bootstrap)
        assert step.chunk == chunk(number, episode)
        assert step.prompt == prompt_of(episode)
        state.bootstrap_sent(step)

    return event


def human(drives: bool, stamp: int = 0, segment: int = 0) -> Event:
    return lambda state: state.driver_reported(human=drives, stamp=stamp, segment=segment)


def refused_for_human(stamp: int) -> Event:
    return lambda state: state.refused_for_human(stamp)


def settled(number: int) -> Event:
    return lambda state: state.settled(number)


def began(stamp: int) -> Event:
    """Begins a segment, just before which the sensors have sent readings."""

    def event(state: RolloutState) -> None:
        state.segments.add_readings(SyncedSensors((), np.ones(0, bool), np.zeros(14, np.float32), stamp - 1, stamp - 1))
        state.segments.begin(stamp)

    return event


def drove(stamp: int) -> Event:
    def event(state: RolloutState) -> None:
        assert state.segments.end(stamp, np.zeros((2, 14), np.float32)) == ""

    return event


def encoded(number: int, segment: int, within: int) -> Event:
    """Checks that the state asks for exactly this chunk of this segment, and sends it."""

    def event(state: RolloutState) -> None:
        step = state.next_step()
        assert isinstance(step, EncodeSegment)
        assert (step.chunk, step.segment.stamp) == (chunk(number, 0, within), segment)
        assert step.prompt == prompt_of(0)
        state.chunk_sent(step, stamp=segment)

    return event


def outcome(number: int, *flags: str, end: int = 0) -> Event:
    flag_values = {name: name in flags for name in ("terminated", "truncated", "cut_by_takeover")}
    valid = "invalid" not in flags
    return lambda state: state.chunk_ended(number, end=end, num_steps=5 * valid, valid=valid, **flag_values)


def ack(number: int, num_accepted: int, *, version: int = 0, retry: bool = False) -> Event:
    return lambda state: state.acknowledged(
        number, version=version, num_accepted=num_accepted, num_required=3, retry=retry
    )


def after(*events: Event) -> Step:
    state = RolloutState()
    for event in events:
        event(state)
    return state.next_step()


READY = (active, announced(), loaded())
RUNNING = (*READY, started(0))
TWO_OF_THREE = (*RUNNING, sampled(0), outcome(0), sampled(1), outcome(1))
TAKEN_OVER = (*RUNNING, sampled(0), human(True, stamp=50), outcome(0, "cut_by_takeover", end=40), bootstrapped(0))
FULL = (*TWO_OF_THREE, sampled(2), outcome(2))  # three in flight, nothing accepted yet

TOO_LATE = (*TWO_OF_THREE, sampled(2), outcome(2, "truncated"), ended(0, truncated=True), reset(1), started(1))

HOLDS = {
    "not activated": ((announced(), loaded(), started(0)), "not active"),
    "deactivated in an episode": ((*RUNNING, inactive), "not active"),
    "nothing announced": ((active, started(0)), "waiting for a policy version to be announced"),
    "announced but not loaded": ((active, announced(), started(0)), "loading policy version 0"),
    "the new version is not loaded": ((*RUNNING, announced(version=1)), "loading policy version 1"),
    "an old version is loaded too late": ((*RUNNING, announced(version=1), loaded(0)), "loading policy version 1"),
    "a checkpoint that does not load": ((*RUNNING, lambda state: state.weights.load_failed("no params")), "no params"),
    "no episode yet": (READY, "waiting for an episode"),
    "the scene is being reset": ((*READY, reset(0)), "waiting for an episode"),
    "paused": ((*RUNNING, paused(0)), "paused"),
    "joined while paused": ((*READY, paused(4)), "paused"),
    "a chunk is being executed": ((*RUNNING, sampled(0)), "being executed"),
    "terminated": ((*RUNNING, sampled(0), outcome(0, "terminated")), "waiting for an episode"),
    "truncated, bootstrapped": ((*RUNNING, sampled(0), outcome(0, "truncated"), bootstrapped(0)), "waiting for an"),
    "truncated, and its start is announced again": (
        (*RUNNING, sampled(0), outcome(0, "truncated"), bootstrapped(0), started(0)),
        "waiting for an episode",
    ),
    "terminated, and its end of a pause is announced": (
        (*RUNNING, sampled(0), outcome(0, "terminated"), resumed(0)),
        "waiting for an episode",
    ),
    "ended by the operator": ((*RUNNING, sampled(0), outcome(0), ended(0)), "waiting for an episode"),
    "ended while executing": ((*RUNNING, sampled(0), ended(0)), "waiting for an episode"),
    "activated while a chunk is executed": ((*RUNNING, sampled(0), inactive, active), "being executed"),
    "activated in a full rollout": ((*FULL, bootstrapped(2), inactive, active), "is full"),
    "activated without weights": ((*RUNNING, inactive, dropped, active), "loading policy version 0"),
    "the robot may not move": ((*RUNNING, robot(active=False)), "robot_node is not active"),
    "full, and a trainer without its run": (
        (*FULL, bootstrapped(2), ack(0, 1), ack(1, 2), ack(2, 0, retry=True)),
        "is full",
    ),
    "full and bootstrapped": ((*FULL, bootstrapped(2)), "is full"),
    "full, all accepted": ((*FULL, bootstrapped(2), ack(0, 1), ack(1, 2), ack(2, 3)), "is full"),
    "full, one to be sent again": ((*FULL, bootstrapped(2), ack(0, 0, retry=True)), "is full"),
    "the trainer came back with a full journal": ((*READY, announced(num_accepted=3), started(0)), "is full"),
    "a human drives": (TAKEN_OVER, "a human drives"),
    "a human drives a segment": ((*TAKEN_OVER, began(60)), "a human drives"),
    "a segment is not reported yet": ((*TAKEN_OVER, began(60), human(False)), "waiting for robot_node"),
    "a human's chunk is not answered yet": (
        (*TAKEN_OVER, began(60), drove(60), encoded(1, 60, 2), human(False)),
        "being executed",
    ),
    "what was driven in an episode that is over": ((*TAKEN_OVER, began(60), drove(60), ended(0)), "a human drives"),
    "refused because a human drives, before robot_node reports it": (
        (*RUNNING, sampled(0), refused_for_human(40), outcome(0, "invalid")),
        "a human takes over",
    ),
    "a bootstrap that came too late, until its chunk is answered": (TOO_LATE, "is full"),
    "the policy of another episode": (
        (active, announced(only_episode=1), loaded(), started(0)),
        "waiting for deployment_node to announce which policy acts in episode 0",
    ),
    "training has ended": ((*RUNNING, announced(version=1, final=True)), "reached its end"),
}

SAMPLES = {
    "the first chunk": (RUNNING, chunk(0)),
    "the next chunk": ((*RUNNING, sampled(0), outcome(0)), chunk(1)),
    "joined in an episode": ((*READY, resumed(4)), chunk(0, 4)),
    "resumed": ((*RUNNING, paused(0), resumed(0)), chunk(0)),
    "the next episode": (
        (*RUNNING, sampled(0), outcome(0, "terminated"), ended(0), reset(1), started(1)),
        chunk(1, 1, 0),
    ),
    "after a takeover": ((*RUNNING, sampled(0), outcome(0, "cut_by_takeover"), bootstrapped(0)), chunk(1)),
    # The numbers within the episode leave a gap at the takeover and one at the hand-back.
    "handed back": ((*TAKEN_OVER, human(False)), chunk(1, 0, 3)),
    "handed back after a segment": (
        (*TAKEN_OVER, began(60), drove(60), human(False), encoded(1, 60, 3), outcome(1)),
        chunk(2, 0, 4),
    ),
    "taken over and handed back between two chunks": (
        (*RUNNING, sampled(0), outcome(0), human(True), human(False), bootstrapped(0)),
        chunk(1, 0, 3),
    ),
    "after a chunk that does not count": ((*RUNNING, sampled(0), outcome(0, "invalid")), chunk(1)),
    "one was refused": ((*FULL, bootstrapped(2), ack(1, 0)), chunk(3)),
    "one did not count": ((*TWO_OF_THREE, sampled(2), outcome(2, "invalid")), chunk(3)),
    "the trainer dropped one": ((*FULL, bootstrapped(2), ack(0, 1), ack(1, 2), ack(2, 3), ack(1, 2)), chunk(3)),
    "the episode was discarded": ((*FULL, bootstrapped(2), ended(0, discarded=True), started(1)), chunk(3, 1, 0)),
    "the next version, same episode": ((*FULL, bootstrapped(2), announced(version=1), loaded(1)), chunk(3)),
    "numbering goes on": ((active, announced(next_sequence_number=40), loaded(), started(7)), chunk(40, 7, 0)),
    "a restarted trainer has fewer": (
        (*FULL, bootstrapped(2), ack(0, 1), ack(1, 2), announced(num_accepted=1)),
        chunk(3),
    ),
    "a chunk that was never answered, reset": ((*RUNNING, sampled(0), reset(1), started(1)), chunk(1, 1, 0)),
    "a bootstrap that came too late, as reward_node says": (
        (*TOO_LATE, outcome(2, "invalid")),
        chunk(3, 1, 0),
    ),
    "activated after its chunk has ended": ((*RUNNING, sampled(0), inactive, outcome(0), active), chunk(1)),
    "activated in a later episode": (
        (*RUNNING, sampled(0), inactive, outcome(0, "terminated"), ended(0), reset(1), started(1), active),
        chunk(1, 1, 0),
    ),
    "activated after the weights were dropped": ((*TWO_OF_THREE, inactive, dropped, loaded(), active), chunk(2)),
    "the robot is active again": ((*RUNNING, robot(active=False), robot(active=True)), chunk(0)),
    "one was acknowledged before": ((*FULL, bootstrapped(2), settled(1)), chunk(3)),
    "an outcome comes again": ((*RUNNING, sampled(0), outcome(0), outcome(0)), chunk(1)),
    "refused before the report that the human handed back": (
        (*RUNNING, sampled(0), refused_for_human(40), outcome(0, "invalid"), human(True, stamp=30), human(False, 50)),
        chunk(1, 0, 3),
    ),
    "refused, and the human has handed back since": (
        (*RUNNING, human(True, 30), human(False, 50), sampled(0, 0, 2), refused_for_human(40), outcome(0, "invalid")),
        chunk(1, 0, 3),
    ),
    "refused in an episode that is over": (
        (*RUNNING, sampled(0), refused_for_human(40), outcome(0, "invalid"), reset(1), started(1)),
        chunk(1, 1, 0),
    ),
}

BOOTSTRAPS = {
    "truncated while inactive": ((*RUNNING, sampled(0), inactive, outcome(0, "truncated"), active), chunk(0)),
    "full, and activated again": ((*FULL, inactive, active), chunk(2)),
    "truncated, and the robot may not move": (
        (*RUNNING, sampled(0), robot(active=False), outcome(0, "truncated")),
        chunk(0),
    ),
    "truncated": ((*RUNNING, sampled(0), outcome(0, "truncated")), chunk(0)),
    "truncated, the event first": ((*RUNNING, sampled(0), ended(0, truncated=True), outcome(0, "truncated")), chunk(0)),
    "truncated, the event after": ((*RUNNING, sampled(0), outcome(0, "truncated"), ended(0, truncated=True)), chunk(0)),
    "a time limit that the operator sets": ((*RUNNING, sampled(0), outcome(0), ended(0, truncated=True)), chunk(0)),
    "taken over": ((*RUNNING, sampled(0), outcome(0, "cut_by_takeover")), chunk(0)),
    "taken over between two chunks": ((*RUNNING, sampled(0), outcome(0), human(True)), chunk(0)),
    "taken over as the chunk ended": ((*RUNNING, sampled(0), human(True), outcome(0)), chunk(0)),
    "handed back after a human's chunk": (
        (*TAKEN_OVER, began(60), drove(60), encoded(1, 60, 2), outcome(1), human(False)),
        chunk(1, 0, 2),
    ),
    "rollout full": (FULL, chunk(2)),
    "rollout full while paused": ((*FULL, paused(0)), chunk(2)),
}
