"""Makes of each message what it changes in the picture. Nothing here subscribes or keeps anything."""

from __future__ import annotations

import dataclasses
import math

from chunk_ppo_msgs import msg
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from chunk_ppo_ros.core.execution import Status as ChunkStatus
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.nodes.common.newest_chunk import read_chunk
from chunk_ppo_ros.nodes.common.status.diagnostics import own_name
from chunk_ppo_ros.nodes.operate.picture import (
    Answer,
    ChunkEnd,
    Driver,
    Episode,
    Level,
    Phase,
    Picture,
    Rollout,
    Status,
)
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.rewards.bookkeeping.episode_counts import PromptCounts
from chunk_ppo_ros.rewards.bookkeeping.run_times import Times
from chunk_ppo_ros.robot.leaders.handover import Leaders

NUM_ENDS = 8
"""How many of the last chunks are kept."""
NUM_CALLS = 20
"""How many of the last calls are kept."""
PLAYER = "robot_node: chunk player"
"""The status of robot_node that says whether the robot moves."""
OUTCOMES = {
    msg.EpisodeEvent.NONE: "",
    msg.EpisodeEvent.SUCCESS: "SUCCESS",
    msg.EpisodeEvent.FAILURE: "FAILURE",
    msg.EpisodeEvent.DISCARDED: "DISCARDED",
    msg.EpisodeEvent.TIME_LIMIT: "TIME_LIMIT",
    msg.EpisodeEvent.INTERRUPTED: "INTERRUPTED",
}


def with_episode(picture: Picture, message: msg.EpisodeState, *, now: float) -> Picture:
    """Returns the picture with the present episode. `now` is the steady time, s."""
    episode = Episode(
        run_id=message.run_id,
        sender=message.sender,
        number=message.episode,
        phase=Phase(message.phase),
        paused=message.paused,
        prompt=message.prompt,
        reset=message.reset,
        mark=OUTCOMES.get(message.mark, str(message.mark)),
        waits_for=message.waits_for,
        command=message.command,
        num_chunks=message.num_chunks,
        num_steps=message.num_steps,
        total_reward=message.total_reward,
        counts=tuple(_counts(each) for each in message.counts),
        times=Times(**{field.name: getattr(message.times, field.name) for field in dataclasses.fields(Times)}),
        heard=now,
    )
    return dataclasses.replace(picture, episode=episode)


def _counts(message: msg.EpisodeCounts) -> PromptCounts:
    return PromptCounts(**{field.name: getattr(message, field.name) for field in dataclasses.fields(PromptCounts)})


def with_driver(picture: Picture, message: msg.TakeoverState) -> Picture:
    """Returns the picture with who drives."""
    driver = Driver(message.human, Leaders(message.leaders), message.message)
    return dataclasses.replace(picture, driver=driver)


def with_motion(picture: Picture, message: msg.ScriptedMotion) -> Picture:
    """Returns the picture with the scripted motion that is under way."""
    return dataclasses.replace(picture, motion=(message.name or "scripted motion") if message.moves else "")


def with_version(picture: Picture, message: msg.PolicyVersion) -> Picture:
    """Returns the picture with a policy version. A new version has the transitions that trainer_node says."""
    rollout = Rollout(message.version, message.num_accepted, message.num_required, message.final)
    return dataclasses.replace(picture, rollout=rollout)


def with_acknowledgment(picture: Picture, message: msg.TransitionAck) -> Picture:
    """Returns the picture with the rollout as trainer_node counts it."""
    final = picture.rollout is not None and picture.rollout.final
    rollout = Rollout(message.policy_version, message.num_accepted, message.num_required, final)
    return dataclasses.replace(picture, rollout=rollout)


def with_outcome(picture: Picture, message: msg.ChunkOutcome) -> Picture:
    """Returns the picture with how a chunk ended."""
    execution = message.execution
    ran = math.isfinite(execution.duration)
    end = ChunkEnd(
        sequence_number=message.sequence_number,
        status=ChunkStatus(execution.status).name,
        num_steps=execution.num_steps,
        reward=message.reward,
        valid=message.valid,
        human=execution.human,
        stamp=time_to_ns(message.header.stamp),
        first_command=time_to_ns(execution.end) - round(execution.duration * NANOSECONDS) if ran else None,
    )
    return with_start_age(dataclasses.replace(picture, ends=(*picture.ends, end)[-NUM_ENDS:]))


def with_start_age(picture: Picture) -> Picture:
    """Returns the picture with the age of an observation at the first command, where chunk and end belong together."""
    if picture.chunk is None or picture.chunk.human:
        return picture
    for end in picture.ends:
        if end.stamp == picture.chunk.stamp and end.first_command is not None:
            age = (end.first_command - picture.chunk.observation_stamp) / NANOSECONDS
            return dataclasses.replace(picture, start_age=age)
    return picture


def with_diagnostics(picture: Picture, message: DiagnosticArray, *, now: float) -> Picture:
    """Returns the picture with statuses, and what they tell of chunks and holds. `now` is the steady time, s."""
    statuses = dict(picture.statuses)
    num_holds, chunk = picture.num_holds, picture.chunk
    for each in message.status:
        name = own_name(each, picture.place.namespace)
        if name is None:
            continue  # It is of the graph of another robot.
        status = _status(each, name, now)
        if status.name == PLAYER and _is_error(status) and not _is_error(statuses.get(PLAYER)):
            num_holds += 1
        chunk = read_chunk(status.values) or chunk
        statuses[status.name] = status
    changed = dataclasses.replace(picture, statuses=statuses, num_holds=num_holds, chunk=chunk)
    return with_start_age(changed)


def _status(message: DiagnosticStatus, name: str, now: float) -> Status:
    level = Level(int.from_bytes(message.level, "little"))
    values = {value.key: value.value for value in message.values}
    return Status(name, level, message.message, values, now)


def _is_error(status: Status | None) -> bool:
    return status is not None and status.level >= Level.ERROR


def with_call(picture: Picture, message: msg.OperatorCall, *, clock: str) -> Picture:
    """Returns the picture with what an operator asked of a node. `clock` is the time of day."""
    asked = f"{message.name} {message.request}".strip()
    call = Answer(clock, asked, message.success, message.message)
    return dataclasses.replace(picture, calls=(*picture.calls, call)[-NUM_CALLS:])
