"""Tests what every room shares: results and outcomes of chunks, counters, metrics and exit codes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from chunk_ppo_ros.core import errors
from chunk_ppo_ros.core.errors import RegistryError, RewardError
from chunk_ppo_ros.core.execution import Cause, ExecutionResult, Status
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.own_parts.registered_functions import number_of
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.core.registry import Registry
from chunk_ppo_ros.core.types import NO_SOURCE, ChunkId, ChunkOutcome, RewardTerm
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.core.wording.counts import clause, count_of
from support import toy_policy


def test_an_execution_of_which_only_the_steps_are_known() -> None:
    result = ExecutionResult.whole(3)
    assert (result.status, result.num_steps, result.message, result.run_id) == (Status.EXECUTED, 3, "", "")
    assert (result.stamp, result.end, result.human_driven, result.max_clamp) == (0, 0, False, 0.0)
    assert (result.effort, result.start_error, result.duration, len(result.measurements)) == (None, None, None, 0)
    assert (result.commanded.shape, result.causes.shape, result.num_clamped_steps) == ((0, 0), (0,), 0)


def test_an_execution_without_steps_says_why() -> None:
    result = ExecutionResult.nothing(Status.REFUSED, "too far", stamp=3, end=5)
    assert (result.status, result.num_steps, result.stamp, result.end) == (Status.REFUSED, 0, 3, 5)
    assert ChunkOutcome.without_steps(result).fault == "too far"
    unknown = ExecutionResult.nothing(Status.CANCELLED, "")
    assert (unknown.stamp, unknown.end) == (0, 0)


def test_executions_are_compared_and_shown_without_their_commands() -> None:
    one, other = (
        dataclasses.replace(
            ExecutionResult.whole(2), commanded=np.full((2, 14), value, np.float32), causes=np.full(2, value, np.uint8)
        )
        for value in (1, 2)
    )
    assert one == other
    assert one != ExecutionResult.whole(1)
    assert "commanded" not in repr(one) and "causes" not in repr(one)


def test_a_measurement_that_is_not_known_is_an_error_that_names_the_known_ones() -> None:
    result = dataclasses.replace(ExecutionResult.whole(2), measurements=Metrics({"path": 0.5, "force": float("nan")}))
    assert result.measurement("path") == 0.5
    for name in ("force", "speed"):
        with pytest.raises(RewardError, match=f"measurement '{name}' must be known for each chunk, got path; "):
            result.measurement(name)


@pytest.mark.parametrize(
    ("status", "num_steps", "cut", "fault"),
    [
        (Status.EXECUTED, 2, False, ""),
        (Status.REFUSED, 0, False, "why"),
        (Status.FAULT, 1, False, "why"),
        (Status.TAKEOVER, 1, True, ""),
        (Status.TAKEOVER, 0, False, ""),  # Nothing of the chunk was executed, so nothing was cut.
        (Status.CANCELLED, 1, False, ""),
    ],
)
def test_an_outcome_says_whether_a_takeover_or_a_fault_ended_it(
    status: Status, num_steps: int, cut: bool, fault: str
) -> None:
    outcome = ChunkOutcome.without_steps(ExecutionResult(status=status, num_steps=num_steps, message="why"))
    assert (outcome.num_steps, outcome.cut_by_takeover, outcome.fault) == (num_steps, cut, fault)
    assert (outcome.terminated, outcome.truncated, outcome.success, outcome.reward) == (False, False, False, 0.0)


def test_a_chunk_of_the_policy_is_valid_and_waits_for_nothing() -> None:
    chunk = toy_policy.transition(0, log_prob=-0.5).chunk
    assert (chunk.valid, chunk.human_driven, chunk.num_steps_committed, chunk.source) == (True, False, 0, NO_SOURCE)
    assert (NO_SOURCE.stamp, NO_SOURCE.prompt) == (0, "")
    shifted = dataclasses.replace(chunk, token_log_probs=np.array([-0.5, -0.25, 9.0], np.float32), num_steps_asked=1)
    assert shifted.log_prob == -0.75  # The last slot is a pad.
    np.testing.assert_array_equal(shifted.asked_actions, chunk.actions[:1])
    assert RewardTerm("task", 2.0).weight == 1.0
    assert ChunkId("run", 1, 2, 3).sender == "robot_0"


def test_counters_after_an_update() -> None:
    start = Counters("run")
    assert dataclasses.astuple(start) == ("run", 0, 0, 0, 0, 0)
    transitions = [toy_policy.transition(number, episode=number // 2) for number in range(5, 8)]
    once = start.after(transitions)  # Three chunks of two steps; the last has number 7 in episode 3.
    assert once == Counters("run", 1, num_chunks=3, num_steps=6, next_sequence_number=8, next_episode=4)
    assert once.after(transitions) == Counters("run", 2, 6, 12, 8, 4)


def test_metrics_are_a_mapping_that_can_be_hashed_and_shown() -> None:
    metrics = Metrics({"loss/policy": 1.0, "loss/value": 2})
    assert (len(metrics), list(metrics), len(Metrics())) == (2, ["loss/policy", "loss/value"], 0)
    assert hash(metrics) == hash(Metrics({"loss/value": 2, "loss/policy": 1.0})) != hash(Metrics())
    assert str(metrics) == "Metrics({'loss/policy': 1.0, 'loss/value': 2})"


def test_the_number_of_a_registered_function() -> None:
    assert number_of("term rise", max, 1, 2.5) == 2.5
    for broken in (lambda: None, lambda: 1 / 0):
        with pytest.raises(RewardError, match="term rise must return a number, got .*Error.*; repair it, or leave"):
            number_of("term rise", broken)
    with pytest.raises(RewardError, match=r"ZeroDivisionError\('division by zero'\) at .*test_core\.py:\d+; repair it"):
        number_of("term rise", lambda: 1 / 0)


def test_numbers_of_one_are_written_as_such() -> None:
    assert [count_of(number, "file") for number in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
    assert clause(1, "file", "is", "are") == "1 file is" and clause(2, "file", "is", "are") == "2 files are"


def test_a_wrong_name_is_answered_by_the_nearest_ones() -> None:
    registry: Registry[object] = Registry("kind", group="nobody.uses", own={f"part_{n}": "math:pi" for n in range(5)})
    assert registry.get("part_1") > 3.14
    with pytest.raises(RegistryError) as refused:
        registry.get("part_9")
    assert str(refused.value).count("part_") == 5 + 1 + 2  # the names, the wrong one, and two near ones
    with pytest.raises(RegistryError, match="got 'else'; install the package that has it"):
        registry.get("else")


def test_numbers_that_other_programs_rely_on() -> None:
    assert (errors.RUNTIME_ERROR, errors.CONFIGURATION_ERROR) == (1, 2)  # the exit codes of nodes
    assert NANOSECONDS == 10**9
    assert [status.value for status in Status] == [0, 1, 2, 3, 4, 5, 6]  # the constants of ExecutionResult.msg
    assert [cause.value for cause in Cause] == [1, 2, 4, 8, 16]
