"""policy_node turns observations into action chunks, with the newest policy version and never with another.

It publishes each sampled chunk with all that training needs of it, and one trajectory per arm for robot_node.
`agent/next_step/rollout_state.py` decides the next step. The actor samples in the worker thread.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NoReturn

from chunk_ppo_ros.agent.next_step.rollout_steps import Bootstrap, EncodeSegment, Hold, SampleChunk, Step
from chunk_ppo_ros.core.counter_file import CounterFile
from chunk_ppo_ros.nodes.common.newest_chunk import chunk_values
from chunk_ppo_ros.nodes.common.runner import run_node
from chunk_ppo_ros.nodes.common.sensors.sensor_ages import age_values
from chunk_ppo_ros.nodes.common.status.diagnostics import Value
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.policy.chunk_publisher import ChunkPublisher
from chunk_ppo_ros.nodes.policy.chunk_repeater import ChunkRepeater
from chunk_ppo_ros.nodes.policy.chunk_sender import ChunkSender
from chunk_ppo_ros.nodes.policy.peer_monitor import PeerMonitor
from chunk_ppo_ros.nodes.policy.policy_diagnostics import rollout_values
from chunk_ppo_ros.nodes.policy.policy_loader import PolicyLoader
from chunk_ppo_ros.nodes.policy.policy_store import PolicyStore
from chunk_ppo_ros.nodes.policy.rollout_facts import RolloutFacts
from chunk_ppo_ros.nodes.policy.scene_watch import SceneWatch
from chunk_ppo_ros.nodes.policy.sensors import Sensors
from chunk_ppo_ros.nodes.policy.step_work import StepWork

ACTING = "acting"
"""What the node says that it does where it does not hold."""
_SECTIONS = ("model", "ppo", "env", "episode", "chunk_length", "robot", "reward", "run", "deploy")


class PolicyNode(WorkerNode):
    """Samples action chunks. If it cannot sample with the newest version and fresh readings, it holds and says why."""

    _made = False  # ROS also destroys a node whose constructor failed.
    _held = ""  # why the node held when it last looked for its next step

    def __init__(self) -> None:
        super().__init__("policy_node", *_SECTIONS)
        config = self.config
        old_count = config.run.folder / "next_sequence_number.json"
        sequence_file = CounterFile(
            old_count,
            "next_sequence_number",
            without="chunks are numbered from what trainer_node has seen",
        )
        self._store = PolicyStore(config.run.folder / "store" / "policy", self.get_logger())
        stored = self._store.open()
        self._publisher = ChunkPublisher(self, control_rate=config.robot.control_rate)
        self._publisher.note_stamp(stored.progress.stamp)
        self._peers = PeerMonitor(self, config, self._publisher.publishers)
        self._sensors = Sensors(self, config, on_news=lambda: self._facts.on_readings())
        self._scene = SceneWatch(self, config)
        self._facts = RolloutFacts(
            self,
            self._store,
            stored,
            self._scene,
            action_dim=config.model.action_dim,
            peek=self._sensors.peek,
            on_change=self._tick,
            on_referee=lambda: self._repeater.repeat_all(),
            on_segment=lambda stamp, readings: self._sender.store_segment(stamp, readings),
        )
        state = self._facts.state
        self._repeater = ChunkRepeater(
            self, self._store, self._publisher, state, execution_timeout=self._peers.execution_timeout
        )
        self._sender = ChunkSender(
            self,
            self._store,
            self._publisher,
            state,
            old_count=old_count,
            is_due=self._is_due,
            on_sent=self._peers.chunk_sent,
            on_change=self._tick,
        )
        self._work = StepWork(self, state, self._publisher, self._sender, is_due=self._is_due, on_change=self._tick)
        self._loader = PolicyLoader(self, self._facts, self._store, sequence_file, on_change=self._tick)
        self._made = True
        self.start()

    # The methods below follow the lifecycle.

    def configure(self) -> None:
        """Loads the checkpoint that trainer_node has announced, or waits for an announcement."""
        self._loader.load_announced()

    def activated(self) -> None:
        """Lets the policy act from now on."""
        self._facts.state.activate()
        self._tick()

    def deactivated(self) -> None:
        """Makes the policy hold from now on."""
        self._facts.state.deactivate()
        self._sensors.stop_waiting()

    def cleaned_up(self) -> None:
        """Drops the weights. The facts of the run stay, because the other nodes go on to report them."""
        self._loader.drop()

    # The methods below act.

    def _tick(self) -> None:
        """Starts the next step, if there is one and everything that it needs is available."""
        actor = self._loader.actor
        if self.is_working or actor is None:
            return
        step = self._next_step()
        self._held = step.reason if isinstance(step, Hold) else ""
        match step:
            case Hold():
                self._sensors.stop_waiting()
            case EncodeSegment():
                self._work.encode(actor, step)
            case SampleChunk():
                readings = self._sensors.take(newer_than=step.newer_than)
                if readings is not None:
                    self._work.sample(actor, step, readings)
            case Bootstrap():
                # The graph shows a new simulator before its readings arrive. So these are of the old scene.
                is_doubtful = self._look_at_scene()
                readings = None if is_doubtful else self._sensors.take(newer_than=step.newer_than)
                if readings is not None:
                    self._work.bootstrap(actor, step, readings)

    def _next_step(self) -> Step:
        """Returns the next step. The policy holds while nobody listens, because its messages would be lost."""
        if not self.config.env.is_lockstep:
            self._facts.state.note_clock(self.get_clock().now().nanoseconds)
        if self._sender.must_wait:
            return Hold("chunks cannot be stored")
        if self._scene.is_doubtful(time.monotonic()):
            return Hold("robot_node or the simulator was started anew; waiting for the end of the episode")
        step = self._facts.state.next_step()
        if isinstance(step, SampleChunk) and self._facts.refusals.must_wait(time.monotonic()):
            return Hold("the robot refuses chunks; the next one follows soon")
        return step if isinstance(step, Hold) or self._peers.all_listen() else Hold("nobody listens")

    def _is_due(self, step: Step) -> bool:
        """Returns whether a step that was computed is still to be taken. The value of an old scene always is."""
        is_next = self._facts.state.next_step() == step
        return is_next and (isinstance(step, Bootstrap) or not self._look_at_scene())

    def _look_at_scene(self) -> bool:
        progress = self._facts.state.progress
        in_episode = progress.episode.is_running or progress.last is not None
        return self._scene.look(time.monotonic(), in_episode=in_episode)

    def activity(self) -> str:
        """Returns why the node holds, or that it acts."""
        step = self._facts.state.next_step()
        return step.reason if isinstance(step, Hold) else self._held or self._sensors.hold_reason or ACTING

    def values(self) -> dict[str, Value]:
        """Returns what the node waits for, the rollout, the times of acting, ages of sensors, and the newest chunk."""
        newest = self._publisher.newest
        doing = self.activity()
        return (
            {"waits for": "" if doing == ACTING else doing}
            | rollout_values(self._facts.state, newest)
            | self._work.times.values(newest)
            | age_values(self._sensors.ages)
            | chunk_values(newest)
        )

    def watch(self) -> None:
        """Reports failures of other nodes, and tries again if the disk or missing subscribers stopped a step."""
        self._loader.watch()
        self._facts.watch()
        may_repeat = self.is_active and self._facts.state.weights.newest is not None
        is_doubtful = self._look_at_scene()
        if self._scene.take_late():
            self._repeater.repeat_all()
        if not is_doubtful and may_repeat and self._peers.all_listen():
            self._repeater.repeat(time.monotonic())
        self._tick()
        self._sender.store_settled()
        self._sensors.watch()
        if not self._loader.is_final:
            self._peers.watch(self._facts.state.awaited_chunk)

    def destroy_node(self) -> None:
        """Frees the store, and destroys the node."""
        if self._made:
            self._made = False
            self._store.close(self._facts.state.progress)
        super().destroy_node()


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Runs the node until it is stopped, and ends the process."""
    run_node(PolicyNode, args)


if __name__ == "__main__":
    main()
