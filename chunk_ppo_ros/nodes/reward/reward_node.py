"""reward_node: the referee. It joins what happened to a chunk, decides how it ended, and sends its transition.

It owns the episode: it asks for resets, starts, ends and pauses. The decisions are in `rewards/`; here they are joined
to topics, services and clocks.
"""

from __future__ import annotations

import math
import pathlib
import sys
import time
from collections.abc import Callable, Sequence

from chunk_ppo_msgs import msg
from rclpy.clock import Clock, ClockType
from rclpy.context import Context
from rclpy.node import Node
from std_msgs.msg import Float32

from chunk_ppo_ros.core import seeds
from chunk_ppo_ros.core.execution import Status
from chunk_ppo_ros.core.types import DEFAULT_SENDER, ChunkId, ChunkOutcome
from chunk_ppo_ros.nodes.common.executors import make_step_executor
from chunk_ppo_ros.nodes.common.runner import run_node
from chunk_ppo_ros.nodes.reward.episode_services import serve_episodes
from chunk_ppo_ros.nodes.reward.reward_watch import RewardWatch
from chunk_ppo_ros.nodes.reward.transition_outbox import TransitionOutbox
from chunk_ppo_ros.nodes.wire import conversions, parameters, qos, reports
from chunk_ppo_ros.rewards import human, referee
from chunk_ppo_ros.rewards.assembler import TransitionAssembler
from chunk_ppo_ros.rewards.episodes import Ending, EpisodeChange, EpisodeNumberFile, Episodes, Phase
from chunk_ppo_ros.rewards.feedback import credit_feedback

TICK = 0.1  # s, steady clock
MAX_FAULTS = 3
"""Episodes in a row that the robot may spoil before reward_node holds and calls the operator."""


class RewardNode(Node):
    """The node; see the module."""

    def __init__(self, *, context: Context | None = None) -> None:
        super().__init__("reward_node", context=context)
        self._config = parameters.declare(self, "model", "ppo", "env", "reward", "run")
        run = self._config.run
        self._episode_numbers = EpisodeNumberFile(pathlib.Path(run.run_dir) / run.exp_name / "episodes.json")
        self._run_id = ""
        self._final = False
        self._faults = 0
        self._refusals = 0
        self._human_drives = False
        self._mark: tuple[Ending, str] | None = None
        self._closing: tuple[ChunkId, Ending, str, float] | None = None
        self._last: ChunkId | None = None
        self._told_sources: set[str] = set()
        self._watch = RewardWatch(self, self._config.reward)
        self._outbox = TransitionOutbox(self)
        self._forget_run()
        self._connect()

    def _connect(self) -> None:
        self._events = self.create_publisher(msg.EpisodeEvent, "episode_event", qos.LATCHED)
        self._outcomes = self.create_publisher(msg.ChunkOutcome, "chunk_outcome", qos.RELIABLE)
        self.create_subscription(msg.PolicyVersion, "policy_version", self._on_version, qos.LATCHED_SUBSCRIPTION)
        self.create_subscription(msg.ActionChunk, "action_chunk", self._on_chunk, qos.RELIABLE)
        self.create_subscription(msg.ExecutionResult, "execution_result", self._on_result, qos.RELIABLE)
        self.create_subscription(msg.TaskReward, "task_reward", self._on_reward, qos.RELIABLE)
        self.create_subscription(msg.Bootstrap, "bootstrap", self._on_bootstrap, qos.RELIABLE)
        self.create_subscription(msg.TakeoverState, "takeover_state", self._on_takeover_state, qos.LATCHED_SUBSCRIPTION)
        self.create_subscription(Float32, "human_feedback", self._on_feedback, qos.RELIABLE)
        serve_episodes(self, start=self._start_episode, end=self._end_episode, pause=self._pause)
        self.create_timer(TICK, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))

    # The run.

    def _on_version(self, version: msg.PolicyVersion) -> None:
        if version.run_id != self._run_id:
            self._begin_run(version)
        self._final = version.final
        if self._closing is not None and self._versions.get(self._closing[0].sequence_number) != version.version:
            self._close_episode()  # nobody tells the value of a chunk of another version any more, nor trains on it
        if version.final and self._episodes.phase is not Phase.IDLE:
            self._tell(self._episodes.end(Ending.NONE, "training has reached its end"))

    def _begin_run(self, version: msg.PolicyVersion) -> None:
        if self._run_id:
            self._tell(self._episodes.end(Ending.DISCARDED, f"run {version.run_id} began"))
        self._run_id = version.run_id
        self._outbox.begin_run(self._run_id)
        self._forget_run(max(version.next_episode, self._recorded_episode()))
        self.get_logger().info(f"run {self._run_id} begins with episode {self._episodes.episode + 1}")
        if not version.final:
            self._next_episode("the run begins")

    def _forget_run(self, next_episode: int = 0) -> None:
        self._assembler = TransitionAssembler(self._config.ppo)
        self._join = referee.ChunkJoin(self._config.reward.sources)
        self._versions: dict[int, int] = {}
        self._mark, self._closing, self._last = None, None, None
        self._episodes = Episodes(next_episode=next_episode, seed=self._seed)
        self._episodes.human_drives(self._human_drives)

    def _seed(self, episode: int) -> int:
        return seeds.episode_seed(seeds.TRAINING, run_seed=self._config.run.seed, episode=episode)

    def _recorded_episode(self) -> int:
        try:
            return self._episode_numbers.next_episode(self._run_id)
        except (OSError, ValueError) as error:
            self.get_logger().error(f"the record of episodes cannot be read, numbers may repeat: {error}")
            return 0

    # Chunks.

    def _on_chunk(self, message: msg.ActionChunk) -> None:
        if message.run_id != self._run_id:
            self.get_logger().warning(f"chunk {message.sequence_number} of run '{message.run_id}' is not used")
            return
        id, stamp = conversions.chunk_id(message), conversions.time_to_ns(message.header.stamp)
        if not self._is_current(id):
            self._refuse(id, stamp, "its episode is over")
            return
        try:
            chunk = conversions.chunk_from_message(message)
            self._assembler.add_chunk(id, chunk)
        except ValueError as error:
            self._refuse(id, stamp, f"malformed action_chunk: {error}")
            self._spoil(f"malformed action_chunk {id.sequence_number}: {error}")
            return
        self._versions[id.sequence_number] = message.policy_version
        self._join.add_chunk(stamp, id, chunk.actions, chunk.num_steps_asked, now=time.monotonic())
        self._advance()

    def _on_result(self, message: msg.ExecutionResult) -> None:
        self._join.add_execution(reports.execution_report(message), now=time.monotonic())
        self._advance()

    def _on_reward(self, message: msg.TaskReward) -> None:
        if message.source not in self._config.reward.sources:
            if message.source not in self._told_sources:
                self._told_sources.add(message.source)
                self.get_logger().warning(f"reward source '{message.source}' is not in reward.sources and is not used")
            return
        stamp = conversions.time_to_ns(message.header.stamp)
        self._join.add_source(stamp, reports.source_report(message), now=time.monotonic())
        self._advance()

    def _on_bootstrap(self, message: msg.Bootstrap) -> None:
        number = message.sequence_number
        if message.run_id != self._run_id or number not in self._versions:
            return
        if message.policy_version != self._versions[number]:
            self.get_logger().error(
                f"bootstrap of chunk {number} must come from version {self._versions[number]}, got "
                f"{message.policy_version}; it is not used"
            )
            return
        try:
            observation, value = conversions.bootstrap_from_message(message)
        except ValueError as error:
            self._spoil(f"malformed bootstrap of chunk {number}: {error}")
            return
        source = conversions.source_from_message(message.observation)
        self._assembler.add_bootstrap(number, observation, value, source)
        if self._closing is not None and self._closing[0].sequence_number == number:
            self._close_episode()
        self._deliver()

    def _on_takeover_state(self, message: msg.TakeoverState) -> None:
        """Marks and feedback from now on are on what the human does, not on the policy's last chunk."""
        self._episodes.human_drives(message.human)
        if message.human and not self._human_drives:
            self._last = None
        self._human_drives = message.human

    def _on_feedback(self, message: Float32) -> None:
        if not math.isfinite(message.data):
            self.get_logger().error(f"human_feedback must be finite, got {message.data}; it is not used")
            return
        self._credit(message.data)

    def _credit(self, feedback: float) -> None:
        """Gives feedback to the chunk that runs or to the last one; says where it went."""
        credit = credit_feedback(
            feedback, join=self._join, assembler=self._assembler, last=self._last, config=self._config.reward
        )
        if credit.id is None:
            self.get_logger().warning(
                f"human_feedback {feedback:g} is not used: no chunk runs, and the last one's reward is sent"
            )
            return
        self._episodes.amend_reward(credit.reward_change)
        self.get_logger().info(f"human_feedback {feedback:g} counts for chunk {credit.id.sequence_number}")

    def _advance(self) -> None:
        """Decides what can be decided, and sends what is complete."""
        for joined in self._join.pop_complete():
            self._decide(joined)
        self._deliver()

    def _decide(self, joined: referee.Joined) -> None:
        assert joined.id is not None
        assert joined.execution is not None
        human_driven = joined.execution.human_driven
        num_steps = 0 if human_driven else joined.execution.num_steps
        limit = self._episodes.num_steps + num_steps >= self._config.max_episode_steps
        judged = referee.judge(joined, config=self._config.reward, time_limit_reached=limit)
        if self._mark is not None and judged.valid:
            judged = judged.marked(success=self._mark[0] is Ending.SUCCESS, config=self._config.reward)
        # The end of the episode, or a pause, is told before the outcome, lest policy_node goes on.
        if judged.robot_fault:
            self._spoil(judged.reason)
        elif joined.execution.status is Status.REFUSED:
            self._note_refusal(judged.reason)
        self._publish_outcome(joined.id, judged)
        self._assembler.add_outcome(joined.id, judged.outcome)
        if judged.valid:
            self._count(joined.id, judged, human_driven=human_driven)
        elif joined.feedback is not None:
            self._credit(joined.feedback)
        if self._mark is not None:
            self._apply_mark()

    def _count(self, id: ChunkId, judged: referee.JudgedChunk, *, human_driven: bool) -> None:
        """Adds a valid chunk to its episode; the time limit counts the policy's steps only."""
        self._last = None if judged.outcome.cut_by_takeover else id
        self._faults, self._refusals = 0, 0
        self._episodes.add_chunk(judged.outcome.reward, num_steps=0 if human_driven else judged.outcome.num_steps)
        if self._mark is not None:
            return
        ending, message = judged.ending()
        if judged.outcome.terminated:
            self._close(ending, message)
        elif judged.outcome.truncated:
            # The scene must stand until policy_node has seen it: its value is this chunk's next value.
            self._closing = (id, ending, message, time.monotonic())

    def _note_refusal(self, reason: str) -> None:
        """The robot did not move, and the policy may sample again from where it stands; but not for ever."""
        self._refusals += 1
        if self._refusals >= referee.MAX_REFUSALS:
            self._hold(f"{self._refusals} chunks in a row were refused, the last by: {reason}")

    def _publish_outcome(self, id: ChunkId, judged: referee.JudgedChunk) -> None:
        self._outcomes.publish(
            conversions.outcome_to_message(id, judged.outcome, valid=judged.valid, reason=judged.reason)
        )

    def _refuse(self, id: ChunkId, stamp: int, reason: str) -> None:
        """Tells that a chunk cannot be trained on, whatever the robot did with it."""
        self._publish_outcome(id, referee.void(reason, stamp=stamp))

    def _is_current(self, id: ChunkId) -> bool:
        return self._episodes.phase is Phase.RUNNING and id.episode == self._episodes.episode and self._closing is None

    def _deliver(self) -> None:
        for transition in self._assembler.pop_complete():
            self._versions.pop(transition.id.sequence_number, None)
            self._outbox.add(transition)
        for gap in self._assembler.pop_gaps():
            self._versions.pop(gap.id.sequence_number, None)
            self.get_logger().info(f"chunk {gap.id.sequence_number} makes no transition: {gap.reason}")
        self._outbox.send_due(time.monotonic())

    # Episodes.

    def _next_episode(self, message: str) -> None:
        changes = self._episodes.begin(message)
        try:
            self._episode_numbers.begin(self._run_id, self._episodes.episode)
        except OSError as error:
            self.get_logger().error(f"the record of episodes cannot be written: {error}")
        self._tell(changes)

    def _close(self, ending: Ending, message: str) -> None:
        """Ends the episode and asks for the next."""
        self._mark, self._closing, self._last = None, None, None
        self._tell(self._episodes.end(ending, message))
        if not self._final:
            self._next_episode("the next episode")

    def _close_episode(self) -> None:
        assert self._closing is not None
        _, ending, message, _ = self._closing
        self._close(ending, message)

    def _discard(self, message: str) -> None:
        """Drops the episode with everything of it that the trainer has not answered."""
        episode = self._episodes.episode
        for joined in self._join.pop_episode(self._run_id, episode):
            assert joined.id is not None
            self._refuse(joined.id, joined.stamp, message)
        dropped = self._assembler.discard_episode(episode, self._run_id)
        for id in dropped:
            self._versions.pop(id.sequence_number, None)
        withdrawn = self._outbox.discard_episode(episode)
        lost = f"{len(dropped)} chunks dropped, {withdrawn} transitions withdrawn"
        self.get_logger().warning(f"episode {episode} is discarded: {message} ({lost})")
        self._close(Ending.DISCARDED, message)

    def _spoil(self, message: str) -> None:
        """Robot or reward failed: the episode cannot be trusted. Holds where that goes on."""
        if self._episodes.phase is Phase.IDLE:
            self.get_logger().error(message)
            return
        self._faults += 1
        self._discard(message)
        if self._faults >= MAX_FAULTS:
            self._hold(f"{self._faults} episodes in a row failed, the last by: {message}")

    def _hold(self, text: str) -> None:
        """Pauses until the operator has looked at the robot."""
        self.get_logger().error(f"{text}; mend it and call the service pause with data: false")
        self._tell(self._episodes.hold("robot", text))

    def _apply_mark(self) -> None:
        """Ends the episode as the operator said, with its last valid chunk as the end state."""
        assert self._mark is not None
        ending, message = self._mark
        changed = self._assembler.amend_outcome(self._last, self._marking(ending)) if self._last is not None else None
        if changed is not None:
            before, after = changed
            self._episodes.amend_reward(after.reward - before.reward)
        else:
            self.get_logger().warning(
                f"the mark {ending.name} ends the episode but rewards no chunk: there is none, or its reward is sent"
            )
        self._close(ending, message)

    def _marking(self, ending: Ending) -> Callable[[ChunkOutcome], ChunkOutcome]:
        config, success = self._config.reward, ending is Ending.SUCCESS
        return lambda outcome: human.marked(outcome, success=success, config=config)

    def _tell(self, changes: Sequence[EpisodeChange]) -> None:
        for change in changes:
            self.get_logger().info(f"episode {change.episode} {change.event.name} {change.message}")
            event = msg.EpisodeEvent(
                run_id=self._run_id,
                sender=DEFAULT_SENDER,
                episode=change.episode,
                seed=change.seed,
                event=change.event.value,
                outcome=change.ending.value,
                total_reward=change.total_reward,
                num_chunks=change.num_chunks,
                intervened=change.intervened,
                prompt=self._config.run.prompt,
                message=change.message,
            )
            event.header.stamp = self.get_clock().now().to_msg()
            self._events.publish(event)

    # What the services ask for.

    def _start_episode(self) -> str:
        self._tell(self._episodes.start("the scene is ready"))
        return f"episode {self._episodes.episode} has started"

    def _end_episode(self, ending: Ending) -> str:
        episode, phase = self._episodes.episode, self._episodes.phase
        if phase is Phase.IDLE or (phase is Phase.RESETTING and ending is not Ending.DISCARDED):
            raise ValueError(f"no episode can end as {ending.name}: {phase.value}")
        told = f"episode {episode} ends as {ending.name}"
        if ending is Ending.DISCARDED:
            self._discard("by the operator")
            return told
        self._mark = (ending, "by the operator")
        if self._join.in_flight():
            return f"{told} with the running chunk"
        self._apply_mark()
        self._deliver()
        return told

    def _pause(self, paused: bool) -> str:
        if paused:
            self._tell(self._episodes.hold("operator", "by the operator"))
        else:
            self._faults, self._refusals = 0, 0
            for reason in ("robot", "operator"):
                self._tell(self._episodes.release(reason, "by the operator"))
        return "paused" if self._episodes.paused else "not paused"

    # Watching.

    def _tick(self) -> None:
        if self._final:
            return
        now = time.monotonic()
        self._outbox.send_due(now)
        for name in self._watch.restarted(now):
            if self._episodes.phase is not Phase.IDLE:
                self._discard(f"{name} was started anew")
        self._watch.look_for_silence(
            now,
            join=self._join,
            unanswered_for=self._outbox.delivery.silent_for(now),
            bootstrap_due_for=0.0 if self._closing is None else now - self._closing[3],
        )
        delivery = self._outbox.delivery
        if delivery.full:
            self._tell(self._episodes.hold("delivery", f"{len(delivery)} transitions wait for trainer_node's answer"))
        elif delivery.eased:
            self._tell(self._episodes.release("delivery", "trainer_node answers"))


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node until it is stopped; returns the exit code."""
    return run_node(RewardNode, args, make_executor=make_step_executor)


if __name__ == "__main__":
    sys.exit(main())
