"""Tests what each message of the graph changes in the picture of an operator's screen."""

from __future__ import annotations

import math

import pytest
from chunk_ppo_msgs import msg
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from chunk_ppo_ros.core.execution import Status as ChunkStatus
from chunk_ppo_ros.nodes.common.newest_chunk import NewestChunk, chunk_values
from chunk_ppo_ros.nodes.common.status.diagnostics import key_values
from chunk_ppo_ros.nodes.operate import intake
from chunk_ppo_ros.nodes.operate.panels import (
    answer_line,
    duration,
    episode_lines,
    fitted,
    robot_lines,
    sensor_lines,
    training_lines,
)
from chunk_ppo_ros.nodes.operate.picture import Answer, ChunkEnd, Driver, Level, Phase, Picture, Rollout, Status
from chunk_ppo_ros.nodes.wire.arrays import header_of, time_from_ns
from chunk_ppo_ros.rewards.bookkeeping.episode_counts import PromptCounts
from chunk_ppo_ros.rewards.bookkeeping.run_times import Times
from chunk_ppo_ros.robot.leaders.handover import Leaders
from support.operator_pictures import PLACE, ages, in_episode, running

EMPTY = Picture(PLACE)
MS = 1_000_000


def test_the_numbers_of_states_are_those_of_the_messages() -> None:
    for ours, theirs in ((Phase, msg.EpisodeState), (Leaders, msg.TakeoverState)):
        assert {each.name: each.value for each in ours} == {each.name: getattr(theirs, each.name) for each in ours}
    for level in Level:
        assert level.value == int.from_bytes(getattr(DiagnosticStatus, level.name), "little")
    outcomes = msg.EpisodeEvent
    assert intake.OUTCOMES[outcomes.TIME_LIMIT] == "TIME_LIMIT"
    assert intake.OUTCOMES[outcomes.INTERRUPTED] == "INTERRUPTED"


def test_an_episode_is_taken_whole() -> None:
    message = msg.EpisodeState(
        run_id="cups",
        sender="robot_0",
        episode=12,
        phase=msg.EpisodeState.READY,
        paused=True,
        prompt="reach",
        reset="command",
        mark=msg.EpisodeEvent.SUCCESS,
        waits_for="a person",
        command="call",
        num_chunks=3,
        num_steps=48,
        total_reward=0.5,
        counts=[msg.EpisodeCounts(prompt="reach", num_success=2, num_intervened=1)],
        times=msg.RunTimes(wall=9.0, waiting_for_trainer=4.0),
    )
    episode = intake.with_episode(EMPTY, message, now=77.0).episode
    assert episode is not None
    assert (episode.run_id, episode.sender, episode.number, episode.phase) == ("cups", "robot_0", 12, Phase.READY)
    assert (episode.paused, episode.prompt, episode.reset, episode.mark) == (True, "reach", "command", "SUCCESS")
    assert (episode.waits_for, episode.command, episode.num_chunks, episode.num_steps) == ("a person", "call", 3, 48)
    assert episode.counts == (PromptCounts("reach", 2, num_intervened=1),)
    assert episode.times == Times(wall=9.0, waiting_for_trainer=4.0)
    assert (episode.total_reward, episode.heard) == (0.5, 77.0)


def test_driver_motion_version_and_acknowledgments_are_taken() -> None:
    takeover = msg.TakeoverState(human=True, leaders=msg.TakeoverState.HOLDING, message="grip")
    picture = intake.with_driver(EMPTY, takeover)
    assert picture.driver == Driver(True, Leaders.HOLDING, "grip")
    picture = intake.with_motion(picture, msg.ScriptedMotion(name="sleep", moves=True))
    assert picture.motion == "sleep"
    assert intake.with_motion(picture, msg.ScriptedMotion(name="sleep", moves=False)).motion == ""
    picture = intake.with_version(picture, msg.PolicyVersion(version=3, num_accepted=1, num_required=9, final=True))
    assert picture.rollout == Rollout(3, 1, 9, True)
    ack = msg.TransitionAck(policy_version=4, num_accepted=2, num_required=9)
    assert intake.with_acknowledgment(picture, ack).rollout == Rollout(4, 2, 9, True)
    assert intake.with_acknowledgment(EMPTY, ack).rollout == Rollout(4, 2, 9, False)


def outcome(stamp: int, *, end: int, seconds: float, **fields: object) -> msg.ChunkOutcome:
    execution = msg.ExecutionResult(end=time_from_ns(end), duration=seconds, num_steps=16)
    return msg.ChunkOutcome(header=header_of(stamp), execution=execution, valid=True, **fields)


def test_the_age_of_the_observation_counts_from_the_first_command() -> None:
    chunk = NewestChunk(5, 0, 0, 2, 0.5, 16, False, 100 * MS, 60 * MS)
    told = DiagnosticArray(status=[DiagnosticStatus(name="policy_node", values=key_values(chunk_values(chunk)))])
    ended = outcome(100 * MS, end=500 * MS, seconds=0.32, sequence_number=5)
    chunk_first = intake.with_outcome(intake.with_diagnostics(EMPTY, told, now=1.0), ended)
    end_first = intake.with_diagnostics(intake.with_outcome(EMPTY, ended), told, now=1.0)
    for picture in (chunk_first, end_first):
        assert picture.chunk == chunk
        assert picture.start_age == pytest.approx(0.12)  # The first command was at 500 - 320 ms.
        assert picture.ends == (ChunkEnd(5, "EXECUTED", 16, 0.0, True, False, 100 * MS, 180 * MS),)


def test_a_chunk_that_never_began_has_no_age() -> None:
    refused = msg.ExecutionResult(status=ChunkStatus.REFUSED, duration=math.nan)
    picture = intake.with_outcome(EMPTY, msg.ChunkOutcome(execution=refused))
    assert (picture.ends[0].status, picture.ends[0].first_command) == ("REFUSED", None)
    assert picture.start_age is None


def test_only_the_last_chunks_and_calls_are_kept() -> None:
    picture = EMPTY
    for number in range(50):
        picture = intake.with_outcome(picture, outcome(number, end=0, seconds=0.0, sequence_number=number))
        call = msg.OperatorCall(name="pause", request='{"data": true}', success=True, message=f"answer {number}")
        picture = intake.with_call(picture, call, clock="14:02:11")
    assert [end.sequence_number for end in picture.ends] == list(range(50 - intake.NUM_ENDS, 50))
    assert len(picture.calls) == intake.NUM_CALLS
    assert picture.calls[-1] == Answer("14:02:11", 'pause {"data": true}', True, "answer 49")


def test_holds_are_counted_when_they_begin() -> None:
    def told(picture: Picture, level: bytes) -> Picture:
        status = DiagnosticStatus(name=intake.PLAYER, level=level, message="?")
        return intake.with_diagnostics(picture, DiagnosticArray(status=[status]), now=1.0)

    picture = EMPTY
    for level in b"\x00\x02\x02\x01\x02\x00":
        picture = told(picture, bytes([level]))
    assert picture.num_holds == 2
    assert picture.statuses[intake.PLAYER].level is Level.OK


def test_prompts_are_counted_apart_and_together() -> None:
    counts = (PromptCounts("cup", 3, 1, 0, 2, 0), PromptCounts("drawer", 0, 0, 1, 0, 4))
    assert episode_lines(in_episode(counts=counts), 60) == [
        "success 3/5 = 60% [23, 88]",
        " cup 3/4 = 75% [30, 95]",
        " drawer 0/1 = 0% [0, 79]",
        "failure 1  time limit 1",
        "apart: taken over 2, discarded 4",
    ]
    cut_short = (PromptCounts("cup", 3, num_interrupted=2),)
    assert episode_lines(in_episode(counts=cut_short), 60)[-1] == "interrupted by the death of a node 2"


def test_bad_ends_are_named_and_equal_ones_counted_together() -> None:
    ends = tuple(
        ChunkEnd(number, status, 16, 0.0, valid, False, number, None)
        for number, (status, valid) in enumerate(
            [("EXECUTED", True), ("FAULT", True), ("EXECUTED", True), ("EXECUTED", True), ("CANCELLED", False)]
        )
    )
    lines = training_lines(running(ends=ends), 80)
    assert lines[-1] == "ended CANCELLED not valid, 2 EXECUTED, FAULT, EXECUTED"
    assert training_lines(running(rollout=Rollout(9, 0, 128)), 80)[2] == "stale: 2 versions, 0.12 s at start"
    assert training_lines(running(rollout=None, start_age=None), 80)[2] == "stale: ? versions, ? at start"


def test_a_run_without_a_trainer_tells_nothing_by_which_its_checkpoint_is_known() -> None:
    nodes = frozenset({"reward_node", "robot_node", "policy_node", "deployment_node"})
    assert training_lines(running(nodes=nodes, rollout=Rollout(7, 0, 2**31)), 37) == [
        "none: a checkpoint acts",
        "chunk 941 of the policy: 16 steps",
        "observation 0.12 s old at start",
        "ended 4 EXECUTED",
    ]
    assert training_lines(running(nodes=nodes, chunk=None, start_age=None), 37)[1:3] == [
        "no chunk yet",
        "observation ? old at start",
    ]


def test_old_and_silent_sensors_are_marked() -> None:
    values = ages("cam_high") | ages("left arm", seconds=1.5) | ages("right arm", seconds=math.nan)
    picture = running(statuses={"policy_node": Status("policy_node", Level.OK, "", values)})
    assert sensor_lines(picture, 37) == ["high 0.03          left arm 1.50!", "right arm NONE!"]
    assert sensor_lines(picture, 12) == ["high 0.03", "left arm 1.…", "right arm N…"]
    ahead = ages("cam_high", seconds=-0.01) | ages("left arm", seconds=-2.0)
    picture = running(statuses={"policy_node": Status("policy_node", Level.OK, "", ahead)})
    assert sensor_lines(picture, 37) == ["high 0.00          left arm -2.00!"]


def test_what_is_not_told_is_said_to_be_so() -> None:
    for lines in (episode_lines, training_lines, robot_lines, sensor_lines):
        assert "not told yet" in "\n".join(lines(EMPTY, 37))


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (None, "Nothing was asked yet."),
        (Answer("14:02:11", "pause", None, since=3.0), "14:02:11 pause: waits for the answer since 4 s"),
        (Answer("14:02:11", "pause", True, "paused"), "14:02:11 pause: YES, paused"),
        (Answer("14:02:11", "pause", False, "no run"), "14:02:11 pause: NO, no run"),
    ],
)
def test_an_answer_is_yes_no_or_waited_for(answer: Answer | None, text: str) -> None:
    assert answer_line(answer, now=7.0) == text


def test_times_and_long_texts_fit() -> None:
    assert duration(3723.4) == "1:02:03"
    assert fitted("abcdef", 4) == "abc…"
    assert fitted("abcd", 4) == "abcd"


def test_a_chinese_text_is_cut_at_the_cells_of_the_terminal() -> None:
    """Each of its characters takes two cells."""
    assert fitted("把杯子放到碟子上", 16) == "把杯子放到碟子上"
    assert fitted("把杯子放到碟子上", 15) == "把杯子放到碟子…"
    assert fitted("把杯子放到碟子上", 14) == "把杯子放到碟 …", "half of a character cannot be shown"
