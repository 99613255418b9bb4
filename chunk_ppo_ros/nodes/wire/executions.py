"""Converts execution results, which say what the robot did, to and from their messages."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from chunk_ppo_msgs import msg

from chunk_ppo_ros.core.execution import Cause, ExecutionResult, Status
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.nodes.wire.arrays import (
    finite,
    from_array,
    from_optional,
    header_of,
    time_from_ns,
    time_to_ns,
    to_array,
    to_float32,
    to_optional,
)
from chunk_ppo_ros.nodes.wire.format_check import check_format


def execution_to_message(execution: ExecutionResult) -> msg.ExecutionResult:
    """Returns the message of an execution result."""
    return msg.ExecutionResult(
        header=header_of(execution.stamp),
        run_id=execution.run_id,
        sender=execution.sender,
        end=time_from_ns(execution.end),
        status=int(execution.status),
        num_steps=execution.num_steps,
        num_clamped_steps=execution.num_clamped_steps,
        max_clamp=to_float32(execution.max_clamp),
        effort=to_optional(execution.effort),
        start_error=to_optional(execution.start_error),
        duration=math.nan if execution.duration is None else execution.duration,
        human=execution.human_driven,
        action_dim=execution.commanded.shape[1],
        commanded=to_array(execution.commanded, "float32"),
        causes=to_array(execution.causes, "uint8"),
        measurements=[msg.Metric(name=name, value=value) for name, value in execution.measurements.items()],
        message=execution.message,
    )


def execution_from_message(message: msg.ExecutionResult) -> ExecutionResult:
    """Returns the execution result of a message.

    Raises:
        ValueError: when a field does not fit the others or is not finite.
    """
    check_format(message)
    if message.status not in list(Status):
        raise ValueError(f"status must be within 0..{max(Status).value}, got {message.status}")
    num_commands, action_dim = len(message.causes), message.action_dim
    execution = ExecutionResult(
        status=Status(message.status),
        num_steps=message.num_steps,
        stamp=time_to_ns(message.header.stamp),
        end=time_to_ns(message.end),
        message=message.message,
        human_driven=message.human,
        max_clamp=finite(message.max_clamp, "max_clamp"),
        effort=from_optional(message.effort, "effort"),
        start_error=from_optional(message.start_error, "start_error"),
        duration=from_optional(message.duration, "duration"),
        run_id=message.run_id,
        sender=message.sender,
        measurements=_measurements(message.measurements),
        commanded=from_array(message.commanded, "float32", (num_commands, action_dim), "commanded"),
        causes=from_array(message.causes, "uint8", (num_commands,), "causes"),
    )
    unknown = int(np.bitwise_or.reduce(execution.causes)) & ~sum(Cause)
    if unknown:
        raise ValueError(f"causes must be bits of {sum(Cause)}, got {unknown} as well")
    if message.num_clamped_steps != execution.num_clamped_steps:
        raise ValueError(
            f"num_clamped_steps must be that of causes ({execution.num_clamped_steps}), got {message.num_clamped_steps}"
        )
    return execution


def _measurements(messages: Sequence[msg.Metric]) -> Metrics:
    """Returns the measurements of messages. NaN stands for a number that is not known.

    Raises:
        ValueError: when a measurement has no name, two have the same name, or a number is infinite.
    """
    numbers: dict[str, float] = {}
    for message in messages:
        if not message.name:
            raise ValueError("measurements must have names, got an empty one")
        if message.name in numbers:
            raise ValueError(f"measurements must have unique names, got '{message.name}' twice")
        if math.isinf(message.value):
            raise ValueError(f"measurement '{message.name}' must be finite or NaN, got {message.value}")
        numbers[message.name] = message.value
    return Metrics(numbers)
