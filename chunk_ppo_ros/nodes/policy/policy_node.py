"""policy_node: observations in, action chunks out, with the newest policy version and never with another.

It publishes each sampled chunk with all that training needs of it, and one trajectory per arm for robot_node. What to
do when is decided in `rollout_state.py`; sampling is the actor's, in the worker thread.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from chunk_ppo_msgs import msg
from trajectory_msgs.msg import JointTrajectory

from chunk_ppo_ros.agent.actor import Actor
from chunk_ppo_ros.agent.human_segments import Segment
from chunk_ppo_ros.agent.rollout_state import Announcement, Kind, RolloutState, Step
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.core.types import ModelObservation, SampledChunk
from chunk_ppo_ros.data.journal import SequenceFile
from chunk_ppo_ros.nodes.common.executors import make_step_executor
from chunk_ppo_ros.nodes.common.worker import Outcome, ResultT
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode, run_worker_node
from chunk_ppo_ros.nodes.policy.peer_monitor import PeerMonitor
from chunk_ppo_ros.nodes.policy.sensors import Sensors, make_observation
from chunk_ppo_ros.nodes.wire import conversions, joints, qos
from chunk_ppo_ros.nodes.wire.arrays import from_array
from chunk_ppo_ros.nodes.wire.conversions import ObservationSource
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.sensor_sync import SyncedSensors
from chunk_ppo_ros.sim.tasks.registry import make_task

_SECTIONS = ("model", "ppo", "env", "chunk_length", "robot", "reward", "run")


@dataclasses.dataclass(frozen=True)
class _Valued:
    """An observation after a segment, and its value."""

    observation: ModelObservation
    value: float


class PolicyNode(WorkerNode):
    """Samples action chunks; holds where an honest sample is not possible, and says why."""

    def __init__(self) -> None:
        super().__init__("policy_node", *_SECTIONS)
        run = self.config.run
        self._prompt = run.prompt or make_task(self.config.env).prompt
        self._sequence_file = SequenceFile(Path(run.run_dir) / run.exp_name / "next_sequence_number.json")
        self._state = RolloutState()
        self._actor: Actor | None = None
        self._announced: msg.PolicyVersion | None = None
        self._stamp = 0  # of the newest chunk, ns of ROS time
        self._make_publishers()
        self._make_subscriptions()
        self._sensors = Sensors(self, self.config, on_news=self._on_readings)
        self.start()

    def _make_publishers(self) -> None:
        self._chunk_publisher = self.create_publisher(msg.ActionChunk, "action_chunk", qos.RELIABLE)
        self._bootstrap_publisher = self.create_publisher(msg.Bootstrap, "bootstrap", qos.RELIABLE)
        self._trajectory_publishers = {
            side: self.create_publisher(JointTrajectory, f"robot/{side}/joint_trajectory", qos.COMMAND)
            for side in aloha.SIDES
        }
        publishers = (self._chunk_publisher, self._bootstrap_publisher, *self._trajectory_publishers.values())
        self._peers = PeerMonitor(self, self.config, publishers)

    def _make_subscriptions(self) -> None:
        self.create_subscription(msg.PolicyVersion, "policy_version", self._on_policy_version, qos.LATCHED_SUBSCRIPTION)
        self.create_subscription(msg.EpisodeEvent, "episode_event", self._on_episode_event, qos.LATCHED_SUBSCRIPTION)
        self.create_subscription(msg.ChunkOutcome, "chunk_outcome", self._on_chunk_outcome, qos.RELIABLE)
        self.create_subscription(msg.TransitionAck, "transition_ack", self._on_transition_ack, qos.ACKNOWLEDGEMENT)
        self.create_subscription(msg.TakeoverState, "takeover_state", self._on_takeover_state, qos.LATCHED_SUBSCRIPTION)
        self.create_subscription(msg.ExecutionResult, "execution_result", self._on_result, qos.RELIABLE)

    # Lifecycle.

    def configure(self) -> None:
        """Loading waits for trainer_node to name a checkpoint; one that it has named already is loaded now."""
        if self._announced is not None:
            self._load(self._announced)

    def activated(self) -> None:
        self._state.activate()
        self._tick()

    def deactivated(self) -> None:
        self._state.deactivate()
        self._sensors.stop_waiting()

    def cleaned_up(self) -> None:
        human, self._state = self._state.is_human_driven, RolloutState()
        self._state.human_drives(human, stamp=0)
        self._actor = None

    # Weights.

    def _on_policy_version(self, message: msg.PolicyVersion) -> None:
        self._announced = message
        if self.is_configured:
            self._load(message)

    def _load(self, message: msg.PolicyVersion) -> None:
        """Announces the version to the state and has the worker load it, unless it is loaded."""
        self._state.announce(self._announcement(message))
        if message.final or self._state.loaded_version is not None:
            self._tick()
            return
        actor, config, checkpoint, version = self._actor, self.config, Path(message.checkpoint), message.version

        def load() -> Actor:
            if actor is not None:
                actor.load(checkpoint, policy_version=version)
                return actor
            fresh = Actor(config, checkpoint, policy_version=version)
            fresh.warm_up()
            return fresh

        self.get_logger().info(f"loading policy version {version} from {checkpoint}")
        self.submit(load, lambda outcome: self._on_loaded(message, outcome))

    def _announcement(self, message: msg.PolicyVersion) -> Announcement:
        return Announcement(
            run_id=message.run_id,
            version=message.version,
            num_accepted=message.num_accepted,
            num_required=message.num_required,
            next_sequence_number=max(message.next_sequence_number, self._sequence_file.read(message.run_id)),
            final=message.final,
        )

    def _on_loaded(self, message: msg.PolicyVersion, outcome: Outcome[Actor]) -> None:
        try:
            self._actor = outcome.result()
        except CheckpointError as error:
            text = f"policy version {message.version} cannot be loaded, the policy holds: {error}"
            self.complain("checkpoint", text, about=message.checkpoint, error=True)
            if message is self._announced:
                self._state.load_failed(str(error))
            return
        self.relieve("checkpoint")
        self._state.loaded(message.version)
        if not self.is_ready:
            self.set_ready()
        self._tick()

    # What the graph says.

    def _on_episode_event(self, message: msg.EpisodeEvent) -> None:
        stamp = conversions.time_to_ns(message.header.stamp)
        if message.event == msg.EpisodeEvent.RESET:
            self._state.episode_reset(message.episode)
        elif message.event == msg.EpisodeEvent.STARTED:
            self._state.episode_started(message.episode, stamp=stamp)
        elif message.event == msg.EpisodeEvent.ENDED:
            discarded = message.outcome == msg.EpisodeEvent.DISCARDED
            truncated = message.outcome == msg.EpisodeEvent.TIME_LIMIT
            self._state.episode_ended(message.episode, discarded=discarded, truncated=truncated)
        else:
            paused = message.event == msg.EpisodeEvent.PAUSED
            self._state.episode_paused(message.episode, paused=paused, stamp=stamp)
        self._tick()

    def _on_chunk_outcome(self, message: msg.ChunkOutcome) -> None:
        if not self._is_of_this_run(message.run_id):
            return
        if message.valid:
            self.relieve("refused", "the robot executes chunks again")
        else:
            text = f"chunk {message.sequence_number} does not count: {message.message}"
            self.complain("refused", text, about=message.message)
        self._state.outcome(
            message.sequence_number,
            end=conversions.time_to_ns(message.end),
            num_steps=message.num_steps,
            valid=message.valid,
            terminated=message.terminated,
            truncated=message.truncated,
            intervened=message.intervened,
        )
        self._tick()

    def _on_transition_ack(self, message: msg.TransitionAck) -> None:
        if not self._is_of_this_run(message.run_id):
            return
        self._state.acknowledged(
            message.sequence_number,
            version=message.policy_version,
            num_accepted=message.num_accepted,
            num_required=message.num_required,
            retry=message.status == msg.TransitionAck.RETRY,
        )
        self._tick()

    def _on_takeover_state(self, message: msg.TakeoverState) -> None:
        self._state.human_drives(message.human, stamp=conversions.time_to_ns(message.header.stamp))
        self._on_readings()
        self._state.segments.begin(conversions.time_to_ns(message.segment))
        self._tick()

    def _on_result(self, message: msg.ExecutionResult) -> None:
        """What a human drove becomes a chunk; how the policy's own chunks ended is reward_node's to say."""
        if not message.human:
            return
        shape = (message.num_steps, self.config.model.action_dim)
        try:
            commanded = from_array(message.commanded, "float32", shape, "commanded")
        except ValueError as error:
            self.complain("human", f"what the human drove is not used: {error}", error=True)
            return
        problem = self._state.segments.end(conversions.time_to_ns(message.header.stamp), commanded)
        if problem:
            self.complain("human", f"what the human drove is not used: {problem}", about=problem)
        else:
            self.relieve("human", "what the human drives is used again")
        self._tick()

    def _is_of_this_run(self, run_id: str) -> bool:
        return self._announced is not None and run_id == self._announced.run_id

    # Acting.

    def _on_readings(self) -> None:
        """The sensors have news; while a human drives, any of it may be the observation that a segment begins with."""
        readings = self._sensors.peek() if self._state.is_human_driven else None
        if readings is not None:
            self._state.segments.see(readings)
        self._tick()

    def _tick(self) -> None:
        """Starts the next step, where there is one and all that it needs is there."""
        if self.is_working:
            return
        step = self._state.next_step()
        if step.kind is Kind.HOLD or not self._peers.all_listen():
            self._sensors.stop_waiting()
            return
        if step.kind is Kind.FOLLOW:
            self._follow(step)
            return
        readings = self._sensors.take(newer_than=step.fresh_after)
        if readings is None:
            return
        if step.kind is Kind.SAMPLE:
            self.submit(lambda: self._sample(step, readings), lambda outcome: self._on_sampled(step, readings, outcome))
        else:
            self.submit(lambda: self._value(readings), lambda outcome: self._on_valued(step, readings, outcome))

    def _observe(self, readings: SyncedSensors) -> ModelObservation:
        """In the worker."""
        assert self._actor is not None
        size = self.config.model.image_size
        return self._actor.observe(make_observation(readings, image_size=size, prompt=self._prompt))

    def _sample(self, step: Step, readings: SyncedSensors) -> SampledChunk:
        """In the worker."""
        assert self._actor is not None and step.chunk is not None
        return self._actor.act(self._observe(readings), sequence_number=step.chunk.sequence_number)

    def _value(self, readings: SyncedSensors) -> _Valued:
        """In the worker."""
        assert self._actor is not None
        observation = self._observe(readings)
        return _Valued(observation, self._actor.value(observation))

    def _on_sampled(self, step: Step, readings: SyncedSensors, outcome: Outcome[SampledChunk]) -> None:
        chunk = self._checked(outcome)
        if chunk is None:
            return
        if self._state.next_step() != step or not self._store_sequence_number(step):
            self._tick()  # the world went on meanwhile; the number was not used
            return
        self._tell_validity(chunk)
        self._publish_chunk(step, chunk, readings)

    def _follow(self, step: Step) -> None:
        """Makes a chunk of what the human drove."""
        segment = self._state.segments.next
        assert segment is not None

        def make() -> SampledChunk:
            assert self._actor is not None
            return self._actor.human_chunk(self._observe(segment.readings), segment.commanded)

        self.submit(make, lambda outcome: self._on_followed(step, segment, outcome))

    def _on_followed(self, step: Step, segment: Segment, outcome: Outcome[SampledChunk]) -> None:
        chunk = self._checked(outcome)
        if self._state.next_step() == step:
            if chunk is None:
                self._state.segments.done()  # its observation stays refused
            elif self._store_sequence_number(step):
                self._publish_human_chunk(step, chunk, segment)
        self._tick()

    def _publish_human_chunk(self, step: Step, chunk: SampledChunk, segment: Segment) -> None:
        assert step.chunk is not None
        if chunk.valid or chunk.num_steps_asked < self.config.model.action_horizon:
            self.relieve("imitation", "what the human drives can be imitated again")
        else:
            text = "what the human drives cannot be imitated: it takes more tokens than model.max_action_tokens allows"
            self.complain("imitation", text)
        source = ObservationSource(segment.readings.stamp, self._prompt)
        self._chunk_publisher.publish(conversions.chunk_to_message(step.chunk, chunk, source, stamp=segment.stamp))
        self._stamp = max(self._stamp, segment.stamp)
        self._peers.chunk_sent()
        self._state.followed(step.chunk)

    def _on_valued(self, step: Step, readings: SyncedSensors, outcome: Outcome[_Valued]) -> None:
        valued = self._checked(outcome)
        if valued is None:
            return
        if self._state.next_step() == step:
            assert step.chunk is not None and step.policy_version is not None
            message = conversions.bootstrap_to_message(
                step.chunk,
                valued.observation,
                ObservationSource(readings.stamp, self._prompt),
                stamp=self._stamp,
                value=valued.value,
                policy_version=step.policy_version,
            )
            self._bootstrap_publisher.publish(message)
            self._state.bootstrapped(step.chunk)
        self._tick()

    def _checked(self, outcome: Outcome[ResultT]) -> ResultT | None:
        """The result; None, with the reason told, where the observation was refused. The next readings are tried."""
        try:
            result = outcome.result()
        except ValueError as error:
            self.complain("observation", f"the observation is refused, the policy holds: {error}", about=str(error))
            return None
        self.relieve("observation", "observations are well again")
        return result

    def _store_sequence_number(self, step: Step) -> bool:
        assert step.chunk is not None
        try:
            self._sequence_file.write(step.chunk.run_id, step.chunk.sequence_number + 1)
        except OSError as error:
            self.complain("sequence", f"the count of chunks cannot be stored, the policy holds: {error}", error=True)
            return False
        self.relieve("sequence", "the count of chunks can be stored again")
        return True

    def _tell_validity(self, chunk: SampledChunk) -> None:
        assert self._actor is not None
        if chunk.valid:
            self.relieve("decoding", "the sampled tokens stand for actions again")
        else:
            reason = self._actor.why_invalid(chunk)
            self.complain("decoding", f"the sampled tokens stand for no actions, the robot holds its pose: {reason}")

    def _publish_chunk(self, step: Step, chunk: SampledChunk, readings: SyncedSensors) -> None:
        """The chunk first: whoever sees a trajectory can know what it belongs to.

        Of the steps that are asked, those beyond the time limit of the episode are not sent.
        """
        assert step.chunk is not None
        self._stamp = max(self.get_clock().now().nanoseconds, self._stamp + 1)
        source = ObservationSource(readings.stamp, self._prompt)
        self._chunk_publisher.publish(conversions.chunk_to_message(step.chunk, chunk, source, stamp=self._stamp))
        # reward_node ends the episode; should it have counted fewer steps, the robot goes on one by one.
        left = max(1, self.config.max_episode_steps - self._state.num_steps)
        targets = chunk.asked_actions[:left]
        period = 1.0 / self.config.robot.control_rate
        for side, publisher in self._trajectory_publishers.items():
            half = targets[:, aloha.side_slice(side)]
            publisher.publish(joints.chunk_to_message(half, stamp=self._stamp, period=period))
        self._peers.chunk_sent()
        self._state.sampled(step.chunk)

    def activity(self) -> str:
        """Why the node holds, or that it acts."""
        return self._state.next_step().reason or "acting"

    def watch(self) -> None:
        """Tells what others do not do; tries again what failed for want of a disk or of listeners."""
        self._tick()
        self._sensors.watch()
        if not (self._announced is not None and self._announced.final):
            self._peers.watch(self._state.awaited_chunk)


def main(args: Sequence[str] | None = None) -> int:
    """Runs policy_node."""
    return run_worker_node(PolicyNode, args, make_executor=make_step_executor)


if __name__ == "__main__":
    sys.exit(main())
