"""Decides how a chunk ended, as a referee, when all reports about it are joined.

Decisions here depend on their arguments alone. `nodes/reward/` receives the reports and publishes the decisions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from chunk_ppo_ros.config import RewardConfig
from chunk_ppo_ros.core.errors import RewardError
from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.core.types import ChunkOutcome, total_reward
from chunk_ppo_ros.rewards import human
from chunk_ppo_ros.rewards import terms as terms_lib
from chunk_ppo_ros.rewards.chunk_join import Joined, SourceReport
from chunk_ppo_ros.rewards.episodes import Ending

NO_FAULT = (Status.REFUSED, Status.TAKEOVER, Status.CANCELLED, Status.LIMITED, Status.INTERRUPTED)
"""The statuses that are harmless where no step counts.

Nothing has moved then, or not as far as the first target. The chunk is a gap, and the episode continues from where the
robot is.
"""
MAX_REFUSALS = 10
"""The number of chunks of which no step counts that may come in a row before a person has to look for the cause."""


@dataclasses.dataclass(frozen=True)
class JudgedChunk:
    """Holds the referee's decision on one chunk.

    Attributes:
        outcome: how the chunk ended.
        valid: whether the chunk can be trained on.
        reason: the reason why it cannot be trained on; empty where it can.
        robot_fault: whether the reason is that the robot or the reward failed. Then its episode does not count.
    """

    outcome: ChunkOutcome
    valid: bool
    reason: str = ""
    robot_fault: bool = False

    def marked(self, *, success: bool, config: RewardConfig) -> JudgedChunk:
        """Returns the decision after the operator has said that the episode ended with this chunk."""
        return dataclasses.replace(self, outcome=human.marked(self.outcome, success=success, config=config))

    def ending(self) -> tuple[Ending, str]:
        """Returns how and why the episode ends with this chunk, which must be one that ends the episode."""
        if self.outcome.success:
            return Ending.SUCCESS, "the task is solved"
        if self.outcome.terminated:
            return Ending.FAILURE, "the task has failed"
        if self.outcome.fault:
            return Ending.FAILURE, f"robot fault: {self.outcome.fault}"
        return Ending.TIME_LIMIT, "the time limit is reached"


def void(reason: str, *, stamp: int) -> JudgedChunk:
    """Returns the decision on a chunk, stamped `stamp` (ns), that cannot be trained on whatever the robot did."""
    return _not_counted(ExecutionResult.nothing(Status.REFUSED, reason, stamp=stamp, end=stamp))


def judge(joined: Joined, *, config: RewardConfig, time_limit_reached: bool) -> JudgedChunk:
    """Decides how a chunk ended.

    Args:
        joined: a complete entry of ChunkJoin.
        config: the settings of the reward.
        time_limit_reached: whether this chunk is the last that the episode may have.

    Returns:
        The decision. A FAULT after some steps truncates the chunk, so that the future counts but this segment ends. The
        time limit does not count while a human drives. It ends neither the chunk that a takeover cut nor a chunk that
        the human drove. The chunk is not valid where no step was executed or a report cannot be used.
    """
    execution, actions = joined.execution, joined.chunk.actions
    reports = [joined.sources[name] for name in config.sources if name in joined.sources]
    try:
        _check_usable(joined, reports)
        terms = terms_lib.chunk_terms([report.terms for report in reports], execution, actions, config)
    except RewardError as error:
        harmless = execution.num_steps == 0 and execution.status in NO_FAULT
        nothing = ExecutionResult.nothing(execution.status, str(error), stamp=execution.stamp, end=execution.end)
        return _not_counted(nothing, robot_fault=not harmless)
    terminated = any(report.terminated for report in reports)
    fault = execution.status is Status.FAULT
    by_human = execution.human_driven or execution.status is Status.TAKEOVER
    late = time_limit_reached or any(report.truncated for report in reports)
    outcome = ChunkOutcome(
        reward=total_reward(terms),
        reward_terms=terms,
        execution=dataclasses.replace(execution, message=execution.message or _unexplained(execution.status)),
        terminated=terminated,
        truncated=not terminated and (fault or (late and not by_human)),
        success=any(report.success for report in reports),
    )
    if joined.feedback is not None:
        outcome = human.with_feedback(outcome, joined.feedback, config)
    return JudgedChunk(outcome, valid=True)


def _check_usable(joined: Joined, reports: Sequence[SourceReport]) -> None:
    """Refuses a chunk that cannot be trained on, whatever its terms are.

    Raises:
        RewardError: for too many executed steps, no executed step, or an error of a source; the text says which.
    """
    execution, num_asked = joined.execution, joined.chunk.num_steps
    if execution.num_steps > num_asked:
        raise RewardError(f"executed steps must be at most those asked ({num_asked}), got {execution.num_steps}")
    if execution.num_steps == 0:
        raise RewardError(f"{execution.status.name}: {execution.message or 'no step was executed'}")
    errors = [report.error for report in reports if report.error]
    if errors:
        raise RewardError(errors[0])


def _unexplained(status: Status) -> str:
    return "fault without a reason" if status is Status.FAULT else ""


def _not_counted(execution: ExecutionResult, *, robot_fault: bool = False) -> JudgedChunk:
    """Returns the decision on a chunk of which nothing counts, for the reason that is the message of `execution`."""
    outcome = ChunkOutcome.without_steps(execution)
    return JudgedChunk(outcome, valid=False, reason=execution.message, robot_fault=robot_fault)
