"""deployment_node lets checkpoints act without a trainer, and counts how their episodes end.

It stands in the place of trainer_node: it announces the policy that acts, and acknowledges transitions, which it does
not keep. It writes each ended episode to disk before it announces the policy of the next. So a run that was stopped or
killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from chunk_ppo_msgs import msg
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node

from chunk_ppo_ros.core.consumption.number_window import NumberWindow
from chunk_ppo_ros.core.errors import SettingError
from chunk_ppo_ros.core.types import DEFAULT_SENDER, ChunkId
from chunk_ppo_ros.evaluation.deployment.plan import DeploymentPlan
from chunk_ppo_ros.evaluation.deployment.records import EpisodeFile, EpisodeRecord
from chunk_ppo_ros.evaluation.deployment.results import DeploymentResult, Rate
from chunk_ppo_ros.evaluation.deployment.run_file import DeployedRun
from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.peers.listeners import LOOK_PERIOD
from chunk_ppo_ros.nodes.common.peers.publisher_guard import PublisherGuard
from chunk_ppo_ros.nodes.common.runner import EndOfRun, run_node
from chunk_ppo_ros.nodes.common.status.diagnostics import PeriodicDiagnostics, Value
from chunk_ppo_ros.nodes.common.status.ros_time import RosTime
from chunk_ppo_ros.nodes.common.subscriptions import subscribe
from chunk_ppo_ros.nodes.deployment.episode_follower import EpisodeFollower
from chunk_ppo_ros.nodes.wire import conversions, parameters, topics
from chunk_ppo_ros.nodes.wire.arrays import header_of, time_to_ns

NEVER = 2**31
"""The number of transitions after which policy_node would wait for a next version. A deployed policy never waits."""
_LAST_WORDS_TIMEOUT = Duration(seconds=2)


class DeploymentNode(Node):
    """Announces which checkpoint acts, and follows episodes until there are enough."""

    def __init__(self) -> None:
        super().__init__("deployment_node")
        self.failure: EndOfRun | None = None
        """The end of the run, after which `run_node` ends the process."""
        config = parameters.declare(self, "env", "run", "deploy", "model")
        if not config.deploy.is_deployment:
            raise SettingError(
                "deploy.checkpoints must name a checkpoint, got none; start the graph by the command deploy CHECKPOINT"
            )
        self._folder = config.run.folder
        self._largest_jump = config.run.max_number_jump
        self._run = DeployedRun.begin_or_continue(config)
        self._plan = DeploymentPlan.of(config)
        self._file = EpisodeFile(self._folder)
        self._records: list[EpisodeRecord] = self._file.read()
        self._follower = EpisodeFollower(self._run.checkpoints)
        self._version = max((record.version for record in self._records), default=-1)
        self._numbers: NumberWindow | None = None  # It begins with the first chunk after a start of this node.
        self._announced: int | None = None  # the episode for which the policy was announced last
        self._conditions = Conditions(self)
        self._time = RosTime(self, config)
        PeriodicDiagnostics(self, level=lambda: self._conditions.level, tell=self._tell, now=self._time.now)
        self._versions = topics.POLICY_VERSION.create_publisher(self)
        self._acknowledgments = topics.TRANSITION_ACK.create_publisher(self)
        guard = PublisherGuard(self, self._conditions)
        self.create_timer(LOOK_PERIOD, guard.watch, clock=Clock(clock_type=ClockType.STEADY_TIME))
        for topic, on_message in (
            (topics.EPISODE_EVENT, self._on_episode_event),
            (topics.TRANSITION, self._on_transition),
        ):
            subscribe(self, self._conditions, topic, on_message, note_sender=guard.only_from_one)
        self.get_logger().info(f"run {self._run.run_id} in {self._folder}: {self._progress()}")
        if self._plan.is_complete(self._records):  # It was stopped after its last episode, or is asked for again.
            raise self._end()
        self._announce(self._next_episode)

    @property
    def _next_episode(self) -> int:
        """The first episode number after those that have ended."""
        return max((record.episode for record in self._records), default=-1) + 1

    # The methods below follow episodes.

    def _on_episode_event(self, message: msg.EpisodeEvent) -> None:
        event = msg.EpisodeEvent
        self._time.note(time_to_ns(message.header.stamp))
        if message.run_id != self._run.run_id or self.failure is not None:  # of another run, or after the end of this
            return
        if message.event == event.ENDED:
            if message.episode >= self._next_episode:
                self._on_ended(message)
            return
        if self._plan.num_policies > 1 and message.episode != self._announced:
            self._announce(message.episode)
        if message.event == event.STARTED:
            self._follower.started(message.episode)

    def _on_ended(self, message: msg.EpisodeEvent) -> None:
        policy = self._plan.policy_of(message.episode, self._records)
        record = self._follower.ended(message, policy=policy, version=self._version)
        try:
            self._file.add(record)
        except OSError as error:
            self._conditions.raise_condition(condition_table.RESULT_NOT_STORED, reason=str(error))
            return  # The episode is repeated, as one that does not count.
        self._records.append(record)
        self.get_logger().info(f"episode {record.episode} ended as {record.outcome}: {self._progress()}")
        self._write_result()
        if self._plan.is_complete(self._records):
            self.failure = self._end()

    def _write_result(self) -> None:
        try:
            self._result().write(self._folder)
        except OSError as error:
            self._conditions.raise_condition(condition_table.RESULT_NOT_STORED, reason=str(error))
            return
        self._conditions.clear_condition(condition_table.RESULT_NOT_STORED)

    def _result(self) -> DeploymentResult:
        return DeploymentResult(self._run, self._plan, tuple(self._records))

    def _progress(self) -> str:
        """Returns how many episodes count. It tells the rate of no checkpoint while the operator must not know it."""
        wanted = f" of {self._plan.num_episodes}" if self._plan.num_episodes else ""
        if self._plan.num_policies > 1:
            return f"{self._plan.num_done(self._records)}{wanted} episodes of each checkpoint count"
        rate = Rate.of(self._plan.counted(self._records))
        return f"{rate.episodes}{wanted} episodes count, {rate}" if rate.episodes else f"0{wanted} episodes count"

    def _tell(self) -> tuple[str, dict[str, Value]]:
        """Returns what the diagnostics tell. As `_progress` does, they tell no rate that the operator must not know."""
        counted = self._plan.counted(self._records)
        values: dict[str, Value] = {
            "waits for": self._awaited(),
            "policy_version": self._version,
            "num_episodes": len(counted),
            "episodes_wanted": self._plan.num_episodes,
        }
        if self._plan.num_policies == 1 and counted:
            values["success_rate"] = Rate.of(counted).successes / len(counted)
        return "; ".join([self._progress(), *self._conditions.texts]), values

    def _awaited(self) -> str:
        """Returns what the run waits for, or an empty string after its end."""
        if self._plan.is_complete(self._records):
            return ""
        newest = self._follower.newest
        if newest is None or newest < self._next_episode:
            return "the start of the next episode"
        return f"the end of episode {newest}"

    # The methods below announce policies and acknowledge transitions.

    def _announce(self, episode: int) -> None:
        """Announces the checkpoint that acts in an episode, as a new version if there are several checkpoints."""
        if self._announced is None or self._plan.num_policies > 1:
            self._version += 1
        self._announced = episode
        policy = self._plan.policy_of(episode, self._records)
        self._versions.publish(self._announcement(self._run.checkpoints[policy], next_episode=episode))

    def _announcement(self, checkpoint: str, *, next_episode: int, final: bool = False) -> msg.PolicyVersion:
        return msg.PolicyVersion(
            header=header_of(self._time.now()),
            run_id=self._run.run_id,
            sender=DEFAULT_SENDER,
            version=self._version,
            checkpoint=str(Path(checkpoint).resolve()),
            num_required=NEVER,
            next_sequence_number=self._numbers.next_sequence_number(DEFAULT_SENDER) if self._numbers else 0,
            next_episode=next_episode,
            final=final,
        )

    def _on_transition(self, message: msg.Transition) -> None:
        """Acknowledges a transition, so that it is not sent again. Nothing is trained on it."""
        chunk, ack, refusal = message.chunk, msg.TransitionAck, ""
        self._time.note(time_to_ns(message.outcome.execution.end))
        try:
            self._note(conversions.chunk_id(chunk))
        except ValueError as error:
            refusal = str(error)
        self._acknowledgments.publish(
            ack(
                header=header_of(self._time.now()),
                run_id=chunk.run_id,
                sender=chunk.sender,
                sequence_number=chunk.sequence_number,
                status=ack.REFUSED_INVALID if refusal else ack.ACCEPTED,
                message=refusal,
                policy_version=self._version,
                num_required=NEVER,
            )
        )

    def _note(self, id: ChunkId) -> None:
        """Notes the numbers of a chunk, from which the next ones follow.

        Raises:
            ValueError: where the chunk is of another run, or its numbers jump.
        """
        if id.run_id != self._run.run_id:
            raise ValueError(f"run_id must be '{self._run.run_id}', got '{id.run_id}'")
        numbers = self._numbers or NumberWindow(
            largest_jump=self._largest_jump,
            next_sequence_number=id.sequence_number,
            next_episode=id.episode,
        )
        numbers.check(id)
        numbers.note(id)
        self._numbers = numbers

    def _end(self) -> EndOfRun:
        """Tells all that the run has reached its end, prints the result, and returns what ends the process."""
        self._versions.publish(
            self._announcement(self._run.checkpoints[0], next_episode=self._next_episode, final=True)
        )
        self.get_logger().info(f"the run has reached its end\n{self._result()}")
        self._versions.wait_for_all_acked(_LAST_WORDS_TIMEOUT)
        return EndOfRun()


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Runs the node until it is stopped, and ends the process."""
    run_node(DeploymentNode, args)


if __name__ == "__main__":
    main()
