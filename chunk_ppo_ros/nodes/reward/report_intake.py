"""Receives the reports of robot_node, the reward sources and the operator about chunks, and joins them by stamp."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from chunk_ppo_msgs import msg
from rclpy.node import Node
from std_msgs.msg import Float32

from chunk_ppo_ros.config import RewardConfig
from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.inputs.handled_inputs import Handles, not_told
from chunk_ppo_ros.nodes.common.peers.message_origin import MessageOrigin, WithOrigin
from chunk_ppo_ros.nodes.common.peers.publisher_guard import PublisherGuard
from chunk_ppo_ros.nodes.common.subscriptions import subscribe
from chunk_ppo_ros.nodes.reward.durable.run_log import RunLog
from chunk_ppo_ros.nodes.reward.outcome_publisher import OutcomePublisher
from chunk_ppo_ros.nodes.reward.run_records import RunRecords
from chunk_ppo_ros.nodes.wire import reports, topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.rewards.feedback import credit_feedback


class ReportIntake:
    """Subscribes to `execution_result`, `task_reward`, `takeover_state` and `human_feedback`.

    Args:
        node: the node that subscribes and logs.
        config: the configuration of rewards.
        records: the records of the run, which the reports go to.
        conditions: the conditions of the node.
        outcomes: publishes how chunks ended, again where a report on a chunk comes again.
        log: stores what is decided.
        on_report: is called after each report about a chunk, because the chunk may be complete then.
        guard: leaves out the results of other nodes than robot_node, and the rewards of a source that come from another
            node than its own; None makes one.
        handles: tells in which order reports are handled among other inputs.
    """

    def __init__(
        self,
        node: Node,
        config: RewardConfig,
        records: RunRecords,
        conditions: Conditions,
        outcomes: OutcomePublisher,
        log: RunLog,
        *,
        on_report: Callable[[], None],
        guard: PublisherGuard | None = None,
        handles: Handles = not_told,
    ) -> None:
        self._logger = node.get_logger()
        self._config = config
        self._records = records
        self._conditions = conditions
        self._outcomes = outcomes
        self._guard = guard or PublisherGuard(node, conditions)
        self._on_report = on_report
        on_result = handles(topics.EXECUTION_RESULT, log.whole_call(self._on_result))
        self._use_reward = handles(topics.TASK_REWARD, log.whole_call(self._on_admitted_reward))
        on_takeover_state = handles(topics.TAKEOVER_STATE, log.whole_call(self._on_takeover_state))
        on_feedback = handles(topics.HUMAN_FEEDBACK, log.whole_call(self._on_feedback))
        only_from_robot = self._guard.only_from_one(topics.EXECUTION_RESULT.name, on_result)
        topics.EXECUTION_RESULT.create_subscription(node, only_from_robot)
        topics.TASK_REWARD.create_subscription(node, WithOrigin(self._on_reward))
        subscribe(node, conditions, topics.TAKEOVER_STATE, on_takeover_state)
        topics.HUMAN_FEEDBACK.create_subscription(node, on_feedback)

    def credit(self, feedback: float) -> None:
        """Adds feedback to the running chunk, or else to the last chunk, and logs which chunk it was."""
        records = self._records
        credit = credit_feedback(
            feedback, join=records.join, assembler=records.assembler, last=records.last, config=self._config
        )
        if credit.id is None:
            self._logger.warning(
                f"human_feedback {feedback:g} is not used, because no chunk runs and the last one's reward is sent"
            )
            return
        records.episodes.amend_reward(credit.reward_change)
        if credit.amended is not None:
            self._outcomes.amend(credit.id, credit.amended)
        self._logger.info(f"human_feedback {feedback:g} counts for chunk {credit.id.sequence_number}")

    def _on_result(self, message: msg.ExecutionResult) -> None:
        stamp = time_to_ns(message.header.stamp)
        if not self._outcomes.repeat_at(stamp):  # robot_node has not heard of the outcome
            self._records.join.add_execution(reports.execution_report(message), now=time.monotonic())
            self._on_report()

    def _on_reward(self, message: msg.TaskReward, origin: MessageOrigin) -> None:
        if message.source not in self._config.sources:
            self._conditions.raise_condition(condition_table.SOURCE_UNKNOWN, source=message.source)
        elif self._guard.admits(topics.TASK_REWARD.name, origin, part=message.source):
            self._use_reward(message)

    def _on_admitted_reward(self, message: msg.TaskReward) -> None:
        stamp = time_to_ns(message.header.stamp)
        if not self._outcomes.repeat_at(stamp):
            self._records.join.add_source(stamp, reports.source_report(message), now=time.monotonic())
            self._on_report()

    def _on_takeover_state(self, message: msg.TakeoverState) -> None:
        self._records.set_driver(human=message.human)

    def _on_feedback(self, message: Float32) -> None:
        if math.isfinite(message.data):
            self.credit(message.data)
        else:
            self._logger.error(f"human_feedback must be finite, got {message.data}; it is not used")
