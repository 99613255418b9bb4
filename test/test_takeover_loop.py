"""Tests a human's takeover in the running graph.

It has four nodes around a simulator, a scripted human, and a trainer that accepts everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rclpy
from chunk_ppo_msgs import msg
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool

from chunk_ppo_ros.config.parameter_file import write_parameter_file
from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.nodes.policy import actor_store
from chunk_ppo_ros.nodes.policy.policy_node import PolicyNode
from chunk_ppo_ros.nodes.reward.reward_node import RewardNode
from chunk_ppo_ros.nodes.robot.robot_node import RobotNode
from chunk_ppo_ros.nodes.sim.sim_node import SimNode
from chunk_ppo_ros.nodes.wire import conversions, qos
from chunk_ppo_ros.nodes.wire.sensors.joints import leader_message
from chunk_ppo_ros.robot import aloha, grippers
from chunk_ppo_ros.sim.experts.reach import plan_reach
from chunk_ppo_ros.sim.tasks.reach import ReachTask
from support.fake_actor import VALUE, FakeActor, FakeCheckpoint
from support.node_harness import Graph, Peer, node_config

pytestmark = pytest.mark.graph

CONVENTION = grippers.GRIPPER_CONVENTIONS["openpi"]
PERIOD = 0.02  # s, of the leaders' joint states


class HumanAndTrainer(Peer):
    """Plays a human who holds the leaders along a path, and a trainer that accepts every transition."""

    def __init__(self, checkpoint: Path) -> None:
        super().__init__()
        self._checkpoint = checkpoint
        self._path: list[np.ndarray] = []
        self.takeover = self.create_client(SetBool, "robot_node/takeover")
        self._leaders = {
            side: self.create_publisher(JointState, f"leader_{side}/joint_states", qos.JOINT_STATES)
            for side in aloha.SIDES
        }
        self._versions = self.create_publisher(msg.PolicyVersion, "policy_version", qos.LATCHED)
        self._acks = self.create_publisher(msg.TransitionAck, "transition_ack", qos.ACKNOWLEDGMENT)
        self.create_subscription(msg.Transition, "transition", self._accept, qos.TRANSITION)
        self.transitions: dict[int, Transition] = {}
        for topic, kind in (("chunk_outcome", msg.ChunkOutcome), ("action_chunk", msg.ActionChunk)):
            self.listen(kind, topic, qos.RELIABLE)
        self.listen(msg.EpisodeEvent, "episode_event", qos.LATCHED_SUBSCRIPTION)
        self.create_timer(PERIOD, self._hold_leaders, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def announce(self) -> None:
        fields = {"run_id": "run", "checkpoint": str(self._checkpoint), "num_required": 1000}
        self._versions.publish(msg.PolicyVersion(**fields))

    def drive(self, path: np.ndarray) -> None:
        """Moves the leaders along a path [n, 14], a point each period, and holds its end."""
        self._path = list(path)

    def _hold_leaders(self) -> None:
        if not self._path:
            return
        pose = self._path.pop(0) if len(self._path) > 1 else self._path[0]
        for side, publisher in self._leaders.items():
            publisher.publish(leader_message(pose[aloha.side_slice(side)], stamp=1, convention=CONVENTION))

    def _accept(self, message: msg.Transition) -> None:
        self.transitions[message.chunk.sequence_number] = conversions.transition_from_message(message)
        numbers = {"sender": message.chunk.sender, "sequence_number": message.chunk.sequence_number}
        ack = msg.TransitionAck(run_id="run", num_required=1000, **numbers)
        self._acks.publish(ack)


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Graph]:
    monkeypatch.setattr(actor_store, "Actor", FakeActor)
    monkeypatch.setattr(actor_store, "Checkpoint", FakeCheckpoint)
    parameters = tmp_path / "parameters.yaml"
    config = node_config(tmp_path, env={"max_episode_chunks": 10})
    write_parameter_file(config, parameters)
    nodes = ("robot_node", "reward_node", "policy_node")
    simulated = [word for node in nodes for word in ("-p", f"{node}:use_sim_time:=true")]
    rclpy.init(args=["--ros-args", "--params-file", str(parameters), *simulated])
    graph = Graph(HumanAndTrainer(tmp_path), capfd)
    try:
        for kind in (SimNode, RobotNode, RewardNode, PolicyNode):
            graph.add(kind())
        graph.until(lambda: graph.peer.is_connected() and graph.peer.takeover.service_is_ready())
        yield graph
    finally:
        graph.close()
        rclpy.try_shutdown()


def test_a_human_finishes_what_the_policy_began(graph: Graph) -> None:
    peer = graph.peer
    simulator = graph.nodes[1].simulator
    peer.announce()
    graph.until(lambda: peer.heard["chunk_outcome"])  # the policy stays where it is
    future = peer.takeover.call_async(SetBool.Request(data=True))
    graph.until(future.done)
    graph.spin(0.3)
    peer.drive(plan_reach(simulator.state(), ReachTask().observe(simulator.scene()).targets, horizon=120))
    graph.until(lambda: any(event.event == msg.EpisodeEvent.ENDED for event in peer.heard["episode_event"]))
    ended = next(event for event in peer.heard["episode_event"] if event.event == msg.EpisodeEvent.ENDED)
    assert (ended.outcome, ended.intervened) == (msg.EpisodeEvent.SUCCESS, True)

    graph.until(lambda: len(peer.transitions) >= ended.num_chunks)
    ordered = [peer.transitions[number] for number in sorted(peer.transitions)]
    human = [one for one in ordered if one.chunk.human_driven]
    own = [one for one in ordered if not one.chunk.human_driven]
    assert len(human) >= 2
    assert human[-1].outcome.terminated
    assert not any(one.outcome.success for one in own)
    assert own[-1].next_value == VALUE  # of what was seen at the takeover
    for one in human:  # each was seen where it began: a step is at most 0.0628 rad
        way = np.abs(one.chunk.actions[0] - one.chunk.observation.state)[aloha.ARM_INDICES]
        assert np.max(way) <= 0.063
