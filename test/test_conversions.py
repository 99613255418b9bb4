"""Tests the conversion of types to messages and back, and what is refused on the way in."""

from __future__ import annotations

import array
import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from chunk_ppo_msgs import msg
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message

from chunk_ppo_ros.core import types
from chunk_ppo_ros.core.chunk_origin import ChunkOrigin
from chunk_ppo_ros.core.execution import Cause, ExecutionResult, Status
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.nodes.wire import conversions, reports
from chunk_ppo_ros.nodes.wire.arrays import from_array, header_of, time_from_ns, time_to_ns, to_array
from chunk_ppo_ros.nodes.wire.sensors import joints
from chunk_ppo_ros.reporting.metric_table import METRICS
from support.wire_transitions import SOURCE, make_transition, to_message


def assert_same(left: Any, right: Any, name: str = "") -> None:
    """Fails unless two dataclasses are equal down to the dtype and every element of their arrays."""
    assert type(left) is type(right), name
    if dataclasses.is_dataclass(left):
        for field in dataclasses.fields(left):
            assert_same(getattr(left, field.name), getattr(right, field.name), f"{name}.{field.name}")
    elif isinstance(left, tuple):
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            assert_same(one, other, f"{name}[{index}]")
    elif isinstance(left, np.ndarray):
        assert left.dtype == right.dtype, name
        np.testing.assert_array_equal(left, right, err_msg=name)
    else:
        assert left == right, name


@pytest.mark.parametrize(("with_next", "valid", "human"), [(True, True, False), (False, False, True)])
def test_transition_survives_the_wire_exactly(with_next: bool, valid: bool, human: bool) -> None:
    transition = make_transition(image_size=224, with_next=with_next, valid=valid, human=human)
    wire = serialize_message(to_message(transition))
    # Three cameras of 224 * 224 * 3 bytes are 451_584. All else together is under 3 kB.
    expected = 451_584 * (2 if with_next else 1)
    assert expected < len(wire) < expected + 3_000
    message = deserialize_message(wire, msg.Transition)
    assert_same(conversions.transition_from_message(message), transition)
    assert conversions.source_from_message(message.chunk.observation) == SOURCE
    assert time_to_ns(message.chunk.header.stamp) == 12_000_000_034
    assert (message.chunk.sender, message.outcome.sender, message.outcome.execution.sender) == ("robot_7",) * 3


@pytest.mark.parametrize(("valid", "human"), [(True, False), (False, True)])
def test_chunk_survives_the_wire_exactly(valid: bool, human: bool) -> None:
    transition = make_transition(valid=valid, human=human)
    message = conversions.chunk_to_message(transition.id, transition.chunk, stamp=5)
    message = deserialize_message(serialize_message(message), msg.ActionChunk)
    assert_same(conversions.chunk_from_message(message), transition.chunk)
    assert conversions.chunk_id(message) == transition.id
    assert (message.horizon, message.action_dim, message.num_steps_asked) == (16, 14, 12)


def test_outcome_survives_the_wire_exactly() -> None:
    transition = make_transition()
    message = conversions.outcome_to_message(transition.id, transition.outcome, valid=False, reason="no")
    message = deserialize_message(serialize_message(message), msg.ChunkOutcome)
    assert_same(conversions.outcome_from_message(message), transition.outcome)
    assert conversions.chunk_id(message) == transition.id
    assert (message.valid, message.message, message.intervened) == (False, "no", True)
    assert time_to_ns(message.header.stamp) == transition.outcome.execution.stamp


def test_what_the_robot_did_survives_the_wire_exactly() -> None:
    execution = make_transition().outcome.execution
    message = conversions.execution_to_message(execution)
    message = deserialize_message(serialize_message(message), msg.ExecutionResult)
    assert_same(conversions.execution_from_message(message), execution)
    assert (message.sender, message.run_id, message.action_dim) == ("robot_7", "run", 14)
    assert message.num_clamped_steps == 5  # causes 1, 2, 3, 4 and 8
    assert [(one.name, one.value) for one in message.measurements] == [("lag", 0.1), ("strain", -2.5)]
    assert hash(conversions.execution_from_message(message)) == hash(execution)


def test_an_outcome_says_whose_execution_it_has_also_where_the_chunk_was_refused() -> None:
    transition = make_transition()
    refused = dataclasses.replace(
        transition.outcome, execution=ExecutionResult.nothing(Status.REFUSED, "too old", stamp=5, end=9)
    )
    message = conversions.outcome_to_message(transition.id, refused, valid=False, reason="too old")
    assert (message.execution.run_id, message.execution.sender) == ("run", "robot_7")
    other = dataclasses.replace(refused, execution=dataclasses.replace(refused.execution, run_id="a", sender="robot_1"))
    message = conversions.outcome_to_message(transition.id, other, valid=False, reason="too old")
    assert (message.execution.run_id, message.execution.sender) == ("a", "robot_1")


def test_what_is_not_recorded_of_an_execution_stays_unknown() -> None:
    refused = ExecutionResult.nothing(Status.REFUSED, "too old", stamp=5, end=9)
    message = conversions.execution_to_message(refused)
    message = deserialize_message(serialize_message(message), msg.ExecutionResult)
    assert math.isnan(message.effort) and math.isnan(message.start_error) and math.isnan(message.duration)
    assert_same(conversions.execution_from_message(message), refused)


def test_an_execution_of_another_format_is_refused() -> None:
    message = conversions.execution_to_message(ExecutionResult.whole(3))
    message.format.version = 1
    with pytest.raises(ValueError, match=r"format.version must be 2, got 1; build all nodes from one version"):
        conversions.execution_from_message(message)


def test_a_measurement_that_is_not_known_is_nan_on_the_wire() -> None:
    execution = dataclasses.replace(ExecutionResult.whole(3), measurements=Metrics({"lag": math.nan}))
    message = conversions.execution_to_message(execution)
    message = deserialize_message(serialize_message(message), msg.ExecutionResult)
    assert math.isnan(conversions.execution_from_message(message).measurements["lag"])


def test_the_numbers_of_status_and_causes_are_those_of_the_message() -> None:
    for member in (*Status, *Cause):
        assert getattr(msg.ExecutionResult, str(member.name)) == member.value
    assert (len(Status), len(Cause)) == (7, 5)  # none of the constants of the message is left out


COUNTERS = Counters(run_id="run", policy_version=3, num_chunks=7)


def test_metrics_are_named_and_the_curves_are_fields() -> None:
    metrics = Metrics({"loss/policy": 0.25, "reward/term/task": 2.0, "ratio/mean": math.nan})
    message = conversions.metrics_to_message(metrics, COUNTERS, stamp=5)
    message = deserialize_message(serialize_message(message), msg.TrainingMetrics)
    assert [metric.name for metric in message.metrics] == list(metrics)
    np.testing.assert_array_equal([metric.value for metric in message.metrics], list(metrics.values()))
    assert message.policy_loss == 0.25
    curves = {name: getattr(message, name) for name in conversions.CURVES}
    assert {name for name, value in curves.items() if not math.isnan(value)} == {"policy_loss"}
    assert (message.run_id, message.policy_version, message.num_chunks) == ("run", 3, 7)
    assert time_to_ns(message.header.stamp) == 5
    assert message.sender == ""  # an update is of all robots
    assert conversions.metrics_to_message(metrics, COUNTERS, stamp=5, sender="robot_7").sender == "robot_7"


def test_every_curve_of_the_message_has_a_logged_name() -> None:
    fields = msg.TrainingMetrics.get_fields_and_field_types()
    assert [name for name, kind in fields.items() if kind == "double"] == list(conversions.CURVES)
    assert len(conversions.CURVES) == 20
    documented = {row.name for rows in METRICS.values() for row in rows}
    assert not set(conversions.CURVES.values()) - documented


def test_bootstrap_survives_the_wire_exactly() -> None:
    transition = make_transition()
    observation = transition.chunk.observation
    message = conversions.bootstrap_to_message(
        transition.id, observation, SOURCE, stamp=5, value=0.25, policy_version=3
    )
    message = deserialize_message(serialize_message(message), msg.Bootstrap)
    assert_same(conversions.bootstrap_from_message(message), (observation, 0.25))
    assert (message.run_id, message.sequence_number, message.policy_version) == ("run", 41, 3)


def test_scalars_are_the_same_before_and_after_the_wire() -> None:
    # The number 0.1 is no float32. The sender's message must already hold what the receiver will read.
    transition = dataclasses.replace(make_transition(), discount=0.1)
    message = to_message(transition)
    assert message.discount == deserialize_message(serialize_message(message), msg.Transition).discount


def test_decoded_arrays_are_writable_copies() -> None:
    message = to_message(make_transition())
    decoded = conversions.transition_from_message(message)
    before = bytes(message.chunk.observation.images)
    decoded.chunk.observation.images[:] = 0
    assert bytes(message.chunk.observation.images) == before


@given(st.integers(min_value=0, max_value=2**31 * NANOSECONDS - 1))
def test_times_are_exact(nanoseconds: int) -> None:
    assert time_to_ns(time_from_ns(nanoseconds)) == nanoseconds


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=30))
def test_float_arrays_are_exact(values: list[float]) -> None:
    flat = to_array(np.array(values), "float32")
    assert from_array(flat, "float32", (len(values),), "values").tolist() == values


@settings(max_examples=20)
@given(height=st.integers(1, 9), width=st.integers(1, 9), cameras=st.integers(0, 4), prompt_length=st.integers(0, 6))
def test_observations_of_any_shape_are_exact(height: int, width: int, cameras: int, prompt_length: int) -> None:
    rng = np.random.default_rng(height + 10 * width)
    observation = types.ModelObservation(
        images=rng.integers(0, 256, (cameras, height, width, 3), dtype=np.uint8),
        image_mask=rng.random(cameras) < 0.5,
        prompt_tokens=np.arange(6, dtype=np.int32),
        prompt_mask=np.arange(6) < prompt_length,
        state=np.zeros(7, np.float32),
    )
    message = conversions.observation_to_message(observation, SOURCE)
    assert_same(conversions.observation_from_message(message), observation)


def _set(path: str, value: Any) -> Callable[[msg.Transition], None]:
    def change(message: msg.Transition) -> None:
        target: Any = message
        *parents, last = path.split(".")
        for parent in parents:
            target = target[int(parent)] if parent.isdigit() else getattr(target, parent)
        setattr(target, last, value)

    return change


NAN = float("nan")


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("chunk.observation.images", array.array("B", [0] * 5), "observation.images must have 576 elements"),
        ("chunk.observation.image_mask", [True], "observation.image_mask must have 3 elements, got 1"),
        ("chunk.observation.prompt_length", 6, "observation.prompt_length must be within 0..5, got 6"),
        ("chunk.observation.state", array.array("f", [NAN, 1.0]), "observation.state must be finite, got 1 NaN"),
        ("chunk.observation.state", array.array("f"), "observation.state must not be empty"),
        ("next_observation.0.state", array.array("f", [NAN]), "next_observation.state must be finite"),
        ("chunk.token_mask", [True], "token_mask must have 6 elements, got 1"),
        ("chunk.token_log_probs", array.array("f", [0.0] * 5), "token_log_probs must have 6 elements"),
        ("chunk.token_log_probs", array.array("f", [0.5] * 6), "token_log_probs must not be positive"),
        ("chunk.actions", array.array("f", [0.0] * 14), "actions must have 224 elements"),
        ("chunk.temperature", 0.0, "temperature must be more than 0"),
        ("chunk.value", NAN, "value must be finite, got nan"),
        ("next_value", NAN, "next_value must be finite"),
        ("outcome.reward", float("inf"), "reward must be finite, got inf"),
        ("discount", 1.5, r"discount must be within 0..1, got 1.5"),
        ("discount", NAN, r"discount must be within 0..1, got nan"),
        ("outcome.execution.num_steps", 13, r"num_steps must be within 1..12 \(num_steps_asked\), got 13"),
        ("chunk.num_steps_asked", 17, "num_steps_asked must be within 1..16, got 17"),
        ("chunk.entropy", NAN, "entropy must be finite, got nan"),
        ("outcome.execution.num_clamped_steps", 12, r"num_clamped_steps must be that of causes \(5\), got 12"),
        ("outcome.execution.status", 7, "status must be within 0..6, got 7"),
        ("outcome.execution.action_dim", 13, "commanded must have 143 elements"),
        ("outcome.execution.commanded", array.array("f", [NAN] * 154), "commanded must be finite"),
        ("outcome.execution.causes", array.array("B", [32] * 11), "causes must be bits of 31, got 32 as well"),
        ("outcome.execution.effort", float("inf"), "effort must be finite, got inf"),
        ("outcome.execution.measurements", [msg.Metric(name="lag")] * 2, "unique names, got 'lag' twice"),
        ("outcome.execution.measurements", [msg.Metric()], "measurements must have names, got an empty one"),
        (
            "outcome.execution.measurements",
            [msg.Metric(name="lag", value=float("inf"))],
            "measurement 'lag' must be finite or NaN, got inf",
        ),
        ("outcome.intervened", False, "intervened must say whether a takeover cut the chunk, got False"),
        ("outcome.sequence_number", 42, "chunk and outcome must have one identity"),
        ("format.version", 1, r"format.version must be 2, got 1; build all nodes from one version"),
        ("chunk.format.version", 3, r"format.version must be 2, got 3"),
        ("outcome.terms", [msg.RewardTerm(name="", value=1.0)], "terms must have names"),
        ("outcome.terms", [msg.RewardTerm(name="touch", value=NAN)], "value of term 'touch' must be finite"),
        ("outcome.terminated", True, "next_value must be 0 where terminated"),
    ],
)
def test_a_malformed_transition_is_refused_by_field(path: str, value: Any, text: str) -> None:
    message = to_message(make_transition())
    _set(path, value)(message)
    with pytest.raises(ValueError, match=text):
        conversions.transition_from_message(message)


def test_no_steps_asked_is_refused() -> None:
    transition = make_transition()
    message = conversions.chunk_to_message(transition.id, transition.chunk, stamp=5)
    message.num_steps_asked = 0
    with pytest.raises(ValueError, match="num_steps_asked must be within 1..16, got 0"):
        conversions.chunk_from_message(message)


def test_a_point_without_a_position_for_each_joint_is_refused() -> None:
    message = joints.arm_trajectory_to_message(np.zeros((3, 7)), stamp=5, period=0.02, origin=ChunkOrigin("run", 1, 4))
    message.points[1].positions = [0.0] * 6
    with pytest.raises(ValueError, match="point 1 must have 7 positions, got 6"):
        joints.arm_trajectory_from_message(message)


def test_an_execution_result_that_cannot_be_read_is_a_fault_of_its_chunk() -> None:
    message = msg.ExecutionResult(header=header_of(7), end=time_from_ns(9), status=9, num_steps=4)
    report = reports.execution_report(message)
    assert (report.status, report.num_steps, report.stamp, report.end) == (Status.FAULT, 0, 7, 9)
    assert report.message == "malformed execution_result: status must be within 0..6, got 9"
