"""reward_node is the referee. It joins the reports on a chunk, decides how the chunk ended, and sends its transition.

It also directs the episode, which it resets, starts, ends and pauses. The decisions are in `rewards/`. This module
connects them to topics, services and clocks.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NoReturn

from chunk_ppo_msgs import msg
from rclpy.clock import Clock, ClockType
from rclpy.context import Context
from rclpy.node import Node

from chunk_ppo_ros.core.execution import Status
from chunk_ppo_ros.core.types import ChunkId
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.peers.foreign_publishers import RunGuard
from chunk_ppo_ros.nodes.common.peers.publisher_guard import PublisherGuard
from chunk_ppo_ros.nodes.common.runner import run_node
from chunk_ppo_ros.nodes.common.subscriptions import subscribe
from chunk_ppo_ros.nodes.reward.episode_control import EpisodeControl
from chunk_ppo_ros.nodes.reward.report_intake import ReportIntake
from chunk_ppo_ros.nodes.reward.reward_watch import RewardWatch
from chunk_ppo_ros.nodes.reward.run_records import Closing, RunRecords
from chunk_ppo_ros.nodes.reward.transition_outbox import TransitionOutbox
from chunk_ppo_ros.nodes.wire import conversions, parameters, topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.rewards import chunk_join, episodes, referee
from chunk_ppo_ros.rewards.episodes import Ending, Phase
from chunk_ppo_ros.rewards.terms import check_settings

TICK = 0.1  # s, steady clock


class RewardNode(Node):
    """Connects the referee to topics, services and clocks."""

    def __init__(self, *, context: Context | None = None) -> None:
        super().__init__("reward_node", context=context)
        self._config = parameters.declare(self, "model", "ppo", "env", "episode", "reward", "run", "deploy")
        reward = self._config.reward
        check_settings(reward)
        self._records = RunRecords(self._config, prompt_for=lambda episode: self._control.prompt_of(episode))
        conditions = Conditions(self)
        self._watch = RewardWatch(self, reward, conditions, announcer=self._config.deploy.announcer)
        self._publisher_guard = PublisherGuard(self, conditions)
        self.outbox = TransitionOutbox(self, conditions, self._publisher_guard)
        self._control = EpisodeControl(
            self, self._config, self._records, self.outbox, conditions, refuse=self._refuse, deliver=self._deliver
        )
        self._director = self._control.director
        self._guard = RunGuard(self, conditions)
        self._outcomes = topics.CHUNK_OUTCOME.create_publisher(self)
        subscribe(self, conditions, topics.POLICY_VERSION, self._on_version)
        for topic, on_message in ((topics.ACTION_CHUNK, self._on_chunk), (topics.BOOTSTRAP, self._on_bootstrap)):
            topic.create_subscription(self, self._publisher_guard.only_from_one(topic.name, on_message))
        self._intake = ReportIntake(
            self, reward, self._records, conditions, on_report=self._advance, guard=self._publisher_guard
        )
        self.create_timer(TICK, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def human_drives(self) -> bool:
        """Whether a human drives, as robot_node last reported."""
        return self._records.human_drives

    # The methods below follow the run.

    def _on_version(self, version: msg.PolicyVersion) -> None:
        records = self._records
        if not self._guard.admits(version, records.run_id):
            return
        if version.run_id != records.run_id:
            self._begin_run(version)
        self._control.note_version(version)
        self._director.final = version.final
        closing = records.closing
        if closing is not None and records.versions.get(closing.id.sequence_number) != version.version:
            # Chunks of another version get no value any more and are not trained on.
            self._director.close(closing.ending, closing.message)
        if version.final and records.episodes.phase is not Phase.IDLE:
            self._director.publish(records.episodes.end(Ending.NONE, "the run has reached its end"))

    def _begin_run(self, version: msg.PolicyVersion) -> None:
        records = self._records
        if records.run_id:
            self._director.publish(records.episodes.end(Ending.DISCARDED, f"run {version.run_id} began"))
        self.outbox.begin_run(version.run_id)
        next_episode = max(version.next_episode, self._director.next_number(version.run_id))
        records.begin(version.run_id, next_episode=next_episode)
        self._control.begin_run(version.run_id)
        self.get_logger().info(f"run {records.run_id} begins with episode {records.episodes.episode + 1}")
        if not version.final:
            self._director.next_episode("the run begins")

    # The methods below handle chunks.

    def _on_chunk(self, message: msg.ActionChunk) -> None:
        records = self._records
        if message.run_id != records.run_id:
            self.get_logger().warning(f"chunk {message.sequence_number} of run '{message.run_id}' is not used")
            return
        id, stamp = conversions.chunk_id(message), time_to_ns(message.header.stamp)
        if not records.is_current(id):
            self._refuse(id, stamp, "its episode is over")
            return
        try:
            chunk = conversions.chunk_from_message(message)
            records.assembler.add_chunk(id, chunk)
        except ValueError as error:
            self._refuse(id, stamp, f"malformed action_chunk: {error}")
            self._director.spoil(f"malformed action_chunk {id.sequence_number}: {error}")
            return
        records.versions[id.sequence_number] = message.policy_version
        records.join.add_chunk(stamp, id, chunk.actions, chunk.num_steps_asked, now=time.monotonic())
        self._advance()

    def _on_bootstrap(self, message: msg.Bootstrap) -> None:
        records, number = self._records, message.sequence_number
        if message.run_id != records.run_id or number not in records.versions:
            return
        if message.policy_version != records.versions[number]:
            self.get_logger().error(
                f"bootstrap of chunk {number} must come from version {records.versions[number]}, got "
                f"{message.policy_version}; it is not used"
            )
            return
        try:
            observation, value = conversions.bootstrap_from_message(message)
        except ValueError as error:
            self._director.spoil(f"malformed bootstrap of chunk {number}: {error}")
            return
        source = conversions.source_from_message(message.observation)
        records.assembler.add_bootstrap(number, observation, value, source)
        closing = records.closing
        if closing is not None and closing.id.sequence_number == number:
            self._director.close(closing.ending, closing.message)
        self._deliver()

    def _advance(self) -> None:
        """Decides how chunks ended whose reports are complete, and sends complete transitions."""
        for joined in self._records.join.pop_complete():
            self._decide(joined)
        self._deliver()

    def _decide(self, joined: chunk_join.Joined) -> None:
        """Decides how a chunk ended.

        The discarding of the episode, or a pause, is published before the outcome, so that policy_node does not go on.
        """
        records, id, execution = self._records, joined.chunk.id, joined.execution
        judged = self._judge(joined)
        failed = judged.robot_fault and execution.status is Status.FAULT
        if records.mark is None and (failed or self._watch.was_stopped(execution.status)):
            self._director.fail(judged.reason)
        elif judged.robot_fault:
            self._director.spoil(judged.reason)
        elif not judged.valid and execution.status in (Status.REFUSED, Status.LIMITED):
            self._director.note_refusal(judged.reason)
        self._publish_outcome(id, judged)
        records.assembler.add_outcome(id, judged.outcome)
        if judged.valid:
            self._count(id, judged, human_driven=execution.human_driven)
        elif joined.feedback is not None:
            self._intake.credit(joined.feedback)
        if records.mark is not None:
            self._director.apply_mark(records.mark)

    def _judge(self, joined: chunk_join.Joined) -> referee.JudgedChunk:
        config, records = self._config, self._records
        num_steps = 0 if joined.execution.human_driven else joined.execution.num_steps
        limit = records.episodes.num_steps + num_steps >= config.max_episode_steps
        judged = referee.judge(joined, config=config.reward, time_limit_reached=limit)
        if records.mark is not None and judged.valid:
            judged = judged.marked(success=records.mark.ending is Ending.SUCCESS, config=config.reward)
        return judged

    def _count(self, id: ChunkId, judged: referee.JudgedChunk, *, human_driven: bool) -> None:
        """Adds a valid chunk to its episode. The time limit counts only the policy's steps."""
        records, outcome = self._records, judged.outcome
        records.last = None if outcome.cut_by_takeover else id
        if not outcome.fault:
            self._director.forget_failures()
        records.episodes.add_chunk(outcome.reward, num_steps=0 if human_driven else outcome.num_steps)
        if records.mark is not None:
            return
        ending, message = judged.ending()
        if outcome.terminated:
            self._director.close(ending, message)
        elif outcome.truncated:
            # The scene must not be reset until policy_node has sent its value, which is this chunk's next value.
            records.closing = Closing(id, ending, message, since=time.monotonic())

    def _publish_outcome(self, id: ChunkId, judged: referee.JudgedChunk) -> None:
        self._outcomes.publish(
            conversions.outcome_to_message(id, judged.outcome, valid=judged.valid, reason=judged.reason)
        )

    def _refuse(self, id: ChunkId, stamp: int, reason: str) -> None:
        """Publishes that a chunk cannot be trained on, whatever the robot did with it."""
        self._publish_outcome(id, referee.void(reason, stamp=stamp))

    def _deliver(self) -> None:
        records = self._records
        for transition in records.assembler.pop_complete():
            records.versions.pop(transition.id.sequence_number, None)
            self.outbox.add(transition)
        for gap in records.assembler.pop_gaps():
            records.versions.pop(gap.id.sequence_number, None)
            self.get_logger().info(f"chunk {gap.id.sequence_number} makes no transition: {gap.reason}")
        self.outbox.send_due(time.monotonic())

    # The methods below run at every tick.

    def _tick(self) -> None:
        self._control.tick(time.monotonic())
        self._publisher_guard.watch()
        if self._director.final:
            return
        if (refused := self._guard.take_refused()) is not None:
            self._on_version(refused)
        now, records, delivery = time.monotonic(), self._records, self.outbox.delivery
        self.outbox.send_due(now)
        for name in self._watch.restarted(now):
            if records.episodes.phase is not Phase.IDLE:
                self._director.discard(f"{name} was started anew")
        self._watch.look_for_silence(
            now,
            join=records.join,
            unacknowledged_for=delivery.silent_for(now),
            bootstrap_due_for=0.0 if records.closing is None else now - records.closing.since,
        )
        if delivery.full:
            text = f"{len(delivery)} transitions wait for the answer of {self._config.deploy.announcer}"
            self._director.publish(records.episodes.hold(episodes.DELIVERY, text))
        elif delivery.eased:
            self._director.publish(
                records.episodes.release(episodes.DELIVERY, f"{self._config.deploy.announcer} answers")
            )

    def destroy_node(self) -> None:
        """Ends what a reset has started, stores the counts of the run, and destroys the node."""
        self._control.close()
        super().destroy_node()


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Runs the node until it is stopped, and ends the process."""
    run_node(RewardNode, args)


if __name__ == "__main__":
    main()
