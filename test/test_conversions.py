"""Types to messages and back, and what is refused on the way in."""

from __future__ import annotations

import array
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from chunk_ppo_msgs import msg
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message

from chunk_ppo_ros.core import types
from chunk_ppo_ros.nodes.wire import conversions
from support.wire_transitions import SOURCE, make_transition, to_message


def assert_same(left: Any, right: Any, name: str = "") -> None:
    """Equality of dataclasses down to the dtype and every element of their arrays."""
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
    # Three cameras of 224 * 224 * 3 bytes are 451_584; all else together is under 3 kB.
    expected = 451_584 * (2 if with_next else 1)
    assert expected < len(wire) < expected + 3_000
    message = deserialize_message(wire, msg.Transition)
    assert_same(conversions.transition_from_message(message), transition)
    assert conversions.source_from_message(message.observation) == SOURCE
    assert conversions.time_to_ns(message.header.stamp) == 12_000_000_034


@pytest.mark.parametrize(("valid", "human"), [(True, False), (False, True)])
def test_chunk_survives_the_wire_exactly(valid: bool, human: bool) -> None:
    transition = make_transition(valid=valid, human=human)
    message = conversions.chunk_to_message(transition.id, transition.chunk, SOURCE, stamp=5)
    message = deserialize_message(serialize_message(message), msg.ActionChunk)
    assert_same(conversions.chunk_from_message(message), transition.chunk)
    assert conversions.chunk_id(message) == transition.id
    assert (message.horizon, message.action_dim, message.num_steps_asked) == (16, 14, 12)


def test_outcome_survives_the_wire_exactly() -> None:
    transition = make_transition()
    message = conversions.outcome_to_message(
        transition.id, transition.outcome, stamp=5, end=9, valid=False, reason="no"
    )
    message = deserialize_message(serialize_message(message), msg.ChunkOutcome)
    assert_same(conversions.outcome_from_message(message), transition.outcome)
    assert conversions.chunk_id(message) == transition.id
    assert (message.valid, message.message, conversions.time_to_ns(message.end)) == (False, "no", 9)


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
    # 0.1 is no float32; the sender's message must already hold what the receiver will read.
    transition = dataclasses.replace(make_transition(), discount=0.1)
    message = to_message(transition)
    assert message.discount == deserialize_message(serialize_message(message), msg.Transition).discount


def test_decoded_arrays_are_writable_copies() -> None:
    message = to_message(make_transition())
    decoded = conversions.transition_from_message(message)
    before = bytes(message.observation.images)
    decoded.chunk.observation.images[:] = 0
    assert bytes(message.observation.images) == before


@given(st.integers(min_value=0, max_value=2**31 * conversions.NANOSECONDS - 1))
def test_times_are_exact(nanoseconds: int) -> None:
    assert conversions.time_to_ns(conversions.time_from_ns(nanoseconds)) == nanoseconds


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=30))
def test_float_arrays_are_exact(values: list[float]) -> None:
    flat = conversions.to_array(np.array(values), "float32")
    assert conversions.from_array(flat, "float32", (len(values),), "values").tolist() == values


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
        ("observation.images", array.array("B", [0] * 5), "observation.images must have 576 elements"),
        ("observation.image_mask", [True], "observation.image_mask must have 3 elements, got 1"),
        ("observation.prompt_length", 6, "observation.prompt_length must be within 0..5, got 6"),
        ("observation.state", array.array("f", [NAN, 1.0]), "observation.state must be finite, got 1 NaN"),
        ("observation.state", array.array("f"), "observation.state must not be empty"),
        ("next_observation.0.state", array.array("f", [NAN]), "next_observation.state must be finite"),
        ("token_mask", [True], "token_mask must have 6 elements, got 1"),
        ("token_log_probs", array.array("f", [0.0] * 5), "token_log_probs must have 6 elements"),
        ("token_log_probs", array.array("f", [0.5] * 6), "token_log_probs must not be positive"),
        ("actions", array.array("f", [0.0] * 14), "actions must have 224 elements"),
        ("temperature", 0.0, "temperature must be more than 0"),
        ("value", NAN, "value must be finite, got nan"),
        ("next_value", NAN, "next_value must be finite"),
        ("reward", float("inf"), "reward must be finite, got inf"),
        ("discount", 1.5, r"discount must be within 0..1, got 1.5"),
        ("discount", NAN, r"discount must be within 0..1, got nan"),
        ("num_steps", 13, r"num_steps must be within 1..12 \(num_steps_asked\), got 13"),
        ("num_steps_asked", 17, "num_steps_asked must be within 1..16, got 17"),
        ("entropy", NAN, "entropy must be finite, got nan"),
        ("num_clamped_steps", 12, r"num_clamped_steps must be at most num_steps \(11\), got 12"),
        ("terms", [msg.RewardTerm(name="", value=1.0)], "terms must have names"),
        ("terms", [msg.RewardTerm(name="touch", value=NAN)], "value of term 'touch' must be finite"),
        ("terminated", True, "next_value must be 0 where terminated"),
    ],
)
def test_a_malformed_transition_is_refused_by_field(path: str, value: Any, text: str) -> None:
    message = to_message(make_transition())
    _set(path, value)(message)
    with pytest.raises(ValueError, match=text):
        conversions.transition_from_message(message)


def test_no_steps_asked_is_refused() -> None:
    transition = make_transition()
    message = conversions.chunk_to_message(transition.id, transition.chunk, SOURCE, stamp=5)
    message.num_steps_asked = 0
    with pytest.raises(ValueError, match="num_steps_asked must be within 1..16, got 0"):
        conversions.chunk_from_message(message)


def test_next_source_belongs_to_a_next_observation() -> None:
    with pytest.raises(ValueError, match="next_source"):
        conversions.transition_to_message(make_transition(with_next=True), SOURCE, stamp=5)
