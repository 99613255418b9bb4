"""What the robot and the reward sources say, read from their messages; a malformed one becomes a report of that."""

from __future__ import annotations

import math

from chunk_ppo_msgs import msg

from chunk_ppo_ros.nodes.wire import conversions
from chunk_ppo_ros.rewards.referee import ExecutionReport, SourceReport, Status


def execution_report(message: msg.ExecutionResult) -> ExecutionReport:
    """The report of robot_node; a fault without a step where it contradicts itself."""
    end = conversions.time_to_ns(message.end)
    problem = ""
    if message.status not in list(Status):
        problem = f"execution_result.status must be within 0..{max(Status).value}, got {message.status}"
    elif message.num_clamped_steps > message.num_steps:
        problem = f"num_clamped_steps must be at most num_steps ({message.num_steps}), got {message.num_clamped_steps}"
    if problem:
        return ExecutionReport(Status.FAULT, num_steps=0, num_clamped_steps=0, end=end, message=problem)
    return ExecutionReport(
        status=Status(message.status),
        num_steps=message.num_steps,
        num_clamped_steps=message.num_clamped_steps,
        end=end,
        message=message.message,
        human=message.human,
        effort=None if math.isnan(message.effort) else message.effort,
    )


def source_report(message: msg.TaskReward) -> SourceReport:
    """The report of a reward source; one with an error where a term cannot be used."""
    try:
        terms = conversions.terms_from_messages(message.terms)
    except ValueError as error:
        return SourceReport(message.source, (), error=f"task_reward of '{message.source}': {error}")
    return SourceReport(message.source, terms, message.terminated, message.truncated, message.success)
