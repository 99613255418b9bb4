"""reward_node is the referee. It joins the reports on a chunk, decides how the chunk ended, and sends its transition.

It also directs the episode, which it resets, starts, ends and pauses. The decisions are in `rewards/`. This module
connects them to topics, services and clocks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from chunk_ppo_msgs import msg
from rclpy.clock import Clock, ClockType
from rclpy.context import Context
from rclpy.node import Node

from chunk_ppo_ros.data.store import Store
from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.inputs.handled_inputs import HandledInputs
from chunk_ppo_ros.nodes.common.peers.foreign_publishers import RunGuard
from chunk_ppo_ros.nodes.common.peers.publisher_guard import PublisherGuard
from chunk_ppo_ros.nodes.common.runner import run_node
from chunk_ppo_ros.nodes.common.subscriptions import subscribe
from chunk_ppo_ros.nodes.reward.chunk_intake import ChunkIntake
from chunk_ppo_ros.nodes.reward.chunk_referee import ChunkReferee
from chunk_ppo_ros.nodes.reward.durable import restoration
from chunk_ppo_ros.nodes.reward.durable.history import History, read_history
from chunk_ppo_ros.nodes.reward.durable.run_log import RunLog
from chunk_ppo_ros.nodes.reward.episode_control import EpisodeControl
from chunk_ppo_ros.nodes.reward.outcome_publisher import OutcomePublisher
from chunk_ppo_ros.nodes.reward.report_intake import ReportIntake
from chunk_ppo_ros.nodes.reward.reward_watch import Restart, RewardWatch
from chunk_ppo_ros.nodes.reward.run_records import RunRecords
from chunk_ppo_ros.nodes.reward.state.passing_holds import PassingHolds
from chunk_ppo_ros.nodes.reward.state.restarts import Restarts
from chunk_ppo_ros.nodes.reward.transition_outbox import TransitionOutbox
from chunk_ppo_ros.nodes.reward.unfinished_chunks import UnfinishedChunks
from chunk_ppo_ros.nodes.wire import parameters, topics
from chunk_ppo_ros.rewards import episodes
from chunk_ppo_ros.rewards.episodes import Ending, Phase
from chunk_ppo_ros.rewards.terms import check_settings

TICK = 0.1  # s, steady clock


class RewardNode(Node):
    """Connects the referee to topics, services and clocks."""

    def __init__(self, *, context: Context | None = None) -> None:
        self._closing: list[Callable[[], None]] = []  # ends what is begun; the last that began first
        super().__init__("reward_node", context=context)
        self._config = config = parameters.declare(self, "model", "ppo", "env", "episode", "reward", "run", "deploy")
        check_settings(config.reward)
        self._records = records = RunRecords(config, prompt_for=lambda episode: self._control.prompt_of(episode))
        self._conditions = conditions = Conditions(self)
        self._store = Store(config.run.folder / "store" / "reward", name="reward")
        self._log = log = RunLog(self, conditions, self._store)
        log.open()
        self._closing.append(log.close)
        self.inputs = HandledInputs(self, run_id=lambda: records.run_id, steady_time=self.steady_time)
        handles = self.inputs.handles
        announcer = config.deploy.announcer
        self._watch = RewardWatch(self, config.reward, conditions, announcer=announcer, handles=handles)
        self._publisher_guard = guard = PublisherGuard(self, conditions)
        self.outbox = TransitionOutbox(self, conditions, log, guard, handles=handles)
        outcomes = OutcomePublisher(self, log)
        self._control = EpisodeControl(
            self,
            config,
            records,
            self.outbox,
            outcomes,
            log,
            conditions,
            deliver=self._deliver,
            look_for_restarts=handles("look", lambda: self._restarts.look()),
            handles=handles,
        )
        self._closing.append(self._control.close)
        self._director = self._control.director
        self._unfinished = UnfinishedChunks(records, self._director, log)
        self._restarts = Restarts(
            records, self._control, self._unfinished, self.inputs, self.find_restarts, is_real=config.env.is_real
        )
        self._holds = PassingHolds(records, self._director, self.outbox, log, announcer=announcer)
        log.find_progress = lambda: restoration.progress_of(
            records, self._director, self._watch.peers, has_unseen_peers=self._watch.has_unseen_peers
        )
        self._guard = RunGuard(self, conditions)
        self._follow = handles(topics.POLICY_VERSION, log.whole_call(self._follow_version))
        subscribe(self, conditions, topics.POLICY_VERSION, self._on_version)
        self._referee = ChunkReferee(
            config,
            records,
            self._director,
            outcomes,
            was_stopped=self._watch.was_stopped,
            look_for_restarts=lambda: self._restarts.look(),
            credit=lambda feedback: self._intake.credit(feedback),
        )
        self._chunks = ChunkIntake(
            self,
            records,
            self._director,
            outcomes,
            log,
            guard,
            on_chunk=self._advance,
            on_value=self._deliver,
            handles=handles,
        )
        self._intake = ReportIntake(
            self,
            config.reward,
            records,
            conditions,
            outcomes,
            log,
            on_report=self._advance,
            guard=guard,
            handles=handles,
        )
        tick = handles("tick", log.whole_call(self._tick))
        self.create_timer(TICK, tick, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def human_drives(self) -> bool:
        """Whether a human drives, as robot_node last reported."""
        return self._records.human_drives

    # A replay overrides the two methods below. What this node decides depends on nothing else than them, its settings,
    # and what it handles by `inputs`.

    def steady_time(self) -> float:
        """Returns the time by which time-outs are measured, s."""
        return time.monotonic()

    def find_restarts(self) -> list[Restart]:
        """Returns the nodes that were started anew since the last call."""
        return self._watch.restarted(time.monotonic())

    # The methods below follow the run.

    def _on_version(self, version: msg.PolicyVersion) -> None:
        if self._guard.admits(version, self._records.run_id):
            self._follow(version)

    def _follow_version(self, version: msg.PolicyVersion) -> None:
        records = self._records
        if version.run_id != records.run_id:
            self._begin_run(version)
        self._control.note_version(version)
        self._director.final = version.final
        closing = records.closing
        if closing is not None and closing.version != version.version:
            # Chunks of another version get no value any more and are not trained on.
            self._director.close(closing.ending, closing.message)
        if version.final and records.episodes.phase is not Phase.IDLE:
            self._director.publish(records.episodes.end(Ending.NONE, "the run has reached its end"))

    def _begin_run(self, version: msg.PolicyVersion) -> None:
        records = self._records
        if records.run_id:
            self._director.publish(records.episodes.end(Ending.DISCARDED, f"run {version.run_id} began"))
        history = read_history(self._store.folder, version.run_id)
        for damage in history.damages:
            self._conditions.raise_condition(condition_table.STORE_DAMAGED, damage=damage)
        self._log.begin_run(version.run_id, history.ledger)
        self.outbox.begin_run(version.run_id)
        stored = history.progress.standing.episode + 1 if history.progress is not None else 0
        next_episode = max(version.next_episode, self._director.next_number(version.run_id), stored)
        records.begin(version.run_id, next_episode=next_episode)
        self._control.begin_run(version.run_id)
        self._unfinished.wait_anew(self.inputs.now)
        self._go_on(history, version)
        self._chunks.take_early()

    def _go_on(self, history: History, version: msg.PolicyVersion) -> None:
        """Goes on with what an earlier process has stored of the run that begins, or with its next episode."""
        records, progress = self._records, history.progress
        restoration.restore_chunks(history, records, self._director, self.outbox)
        self.inputs.goes_on = progress is not None
        if progress is not None:
            self._watch.expect(progress.peers, now=time.monotonic())
            self._director.publish([change for change in progress.changes if change.event is episodes.Event.ENDED])
            if restoration.go_on(progress, records, self._director, is_real=self._config.env.is_real):
                return
            restoration.hold_reset(progress, records, self._config)
        self.get_logger().info(f"run {records.run_id} begins with episode {records.episodes.episode + 1}")
        if not version.final:
            self._director.next_episode("the run begins")

    # The methods below handle chunks.

    def _advance(self) -> None:
        """Decides how chunks ended whose reports are complete, and sends complete transitions."""
        self._referee.decide_complete()
        self._deliver()

    def _deliver(self) -> None:
        records = self._records
        for transition in records.assembler.pop_complete():
            records.versions.pop(transition.id.sequence_number, None)
            self.outbox.add(transition)
        for gap in records.assembler.pop_gaps():
            records.versions.pop(gap.id.sequence_number, None)
            self.get_logger().info(f"chunk {gap.id.sequence_number} makes no transition: {gap.reason}")
        self._log.publish(lambda: self.outbox.send_due(time.monotonic()))

    # The methods below run at every tick.

    def _tick(self) -> None:
        now = time.monotonic()
        self._log.tick(now)
        self._publisher_guard.watch()
        self._control.tick(self.inputs.now)
        if self._director.final:
            return
        if (refused := self._guard.take_refused()) is not None:
            self._on_version(refused)
        self.outbox.send_due(now)
        self._restarts.look()
        self._unfinished.tick(self.inputs.now)
        self._deliver()
        records, delivery = self._records, self.outbox.delivery
        self._watch.look_for_silence(
            now,
            join=records.join,
            unacknowledged_for=delivery.silent_for(now),
            bootstrap_due_for=0.0 if records.closing is None else now - records.closing_since,
        )
        self._holds.update()

    def destroy_node(self) -> None:
        """Ends what a reset has started, stores the counts of the run, and destroys the node."""
        self._records.is_stopping = True  # The next process learns that this one was stopped, and did not die.
        while self._closing:
            self._closing.pop()()
        super().destroy_node()


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Runs the node until it is stopped, and ends the process."""
    run_node(RewardNode, args)


if __name__ == "__main__":
    main()
