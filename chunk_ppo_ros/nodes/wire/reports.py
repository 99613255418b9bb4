"""Converts the reports of the robot and the reward sources. A malformed message becomes a report that says so."""

from __future__ import annotations

from chunk_ppo_msgs import msg

from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.nodes.wire import conversions
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.nodes.wire.format_check import check_format
from chunk_ppo_ros.rewards.chunk_join import SourceReport


def execution_report(message: msg.ExecutionResult) -> ExecutionResult:
    """Returns robot_node's report on a chunk. A malformed message becomes a fault without a step."""
    try:
        return conversions.execution_from_message(message)
    except ValueError as error:
        stamp, end = time_to_ns(message.header.stamp), time_to_ns(message.end)
        return ExecutionResult.nothing(Status.FAULT, f"malformed execution_result: {error}", stamp=stamp, end=end)


def source_report(message: msg.TaskReward) -> SourceReport:
    """Returns the report of a reward source. The report has an error if the format or a term cannot be used."""
    try:
        check_format(message)
        terms = conversions.terms_from_messages(message.terms)
    except ValueError as error:
        return SourceReport(message.source, (), error=f"task_reward of '{message.source}': {error}")
    return SourceReport(message.source, terms, message.terminated, message.truncated, message.success)


def source_report_to_message(report: SourceReport, result: msg.ExecutionResult) -> msg.TaskReward:
    """Returns the message of a reward source's report. It names the stamp, the run and the sender of the result.

    Args:
        report: the report, without an error.
        result: the execution result that the source answers.
    """
    return msg.TaskReward(
        header=result.header,
        run_id=result.run_id,
        sender=result.sender,
        source=report.source,
        terms=conversions.terms_to_messages(report.terms),
        terminated=report.terminated,
        truncated=report.truncated,
        success=report.success,
    )
