"""Plays the nodes of a recorded run, except for reward_node and trainer_node, and hears what these two say."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from chunk_ppo_msgs import msg
from chunk_ppo_msgs.srv import EndEpisode
from rcl_interfaces.srv import GetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from std_srvs.srv import SetBool, Trigger

from chunk_ppo_ros.nodes.replay.events import Told
from chunk_ppo_ros.nodes.replay.recorded_run import TOLD
from chunk_ppo_ros.nodes.wire import services, topics

CLASSIFIER = "classifier"
"""The source of the rewards of classifier_node. sim_node sends those of other sources here."""
_NODES = {
    topics.ACTION_CHUNK.name: "policy_node",
    topics.BOOTSTRAP.name: "policy_node",
    topics.EXECUTION_RESULT.name: "robot_node",
    topics.TAKEOVER_STATE.name: "robot_node",
    topics.EMERGENCY_STOP_STATE.name: "robot_node",
    topics.TASK_REWARD.name: "sim_node",
    topics.HUMAN_FEEDBACK.name: "operator",
}
_ROBOT = "robot_node"


class Players:
    """Publishes recorded messages in the place of the nodes that sent them, and notes what is said.

    Args:
        context: a context of ROS, in the domain of the two nodes.

    Attributes:
        outcomes: the number and the validity of each chunk whose outcome was heard.
        delivered: the numbers of the transitions that trainer_node has answered for good.
        version: the newest version that was announced, or -1.
        change: the episode and the event of the newest change that was heard, or (-1, 0).
    """

    def __init__(self, context: Context) -> None:
        self.outcomes: set[tuple[int, bool]] = set()
        self.delivered: set[int] = set()
        self.version = -1
        self.change = (-1, 0)
        self._context = context
        self._executor = SingleThreadedExecutor(context=context)
        self._nodes = {name: self._make_node(name) for name in {*_NODES.values(), f"{CLASSIFIER}_node"}}
        self._publishers: dict[tuple[str, str], Publisher] = {}
        for topic in TOLD:
            self._publishers[_NODES[topic.name], topic.name] = topic.create_publisher(self._nodes[_NODES[topic.name]])
        classifier = f"{CLASSIFIER}_node"
        self._publishers[classifier, topics.TASK_REWARD.name] = topics.TASK_REWARD.create_publisher(
            self._nodes[classifier]
        )
        self._ear = ear = self._make_node("replay")
        topics.CHUNK_OUTCOME.create_subscription(ear, self._on_outcome)
        topics.TRANSITION_ACK.create_subscription(ear, self._on_ack)
        topics.POLICY_VERSION.create_subscription(ear, self._on_version)
        topics.EPISODE_EVENT.create_subscription(ear, self._on_change)
        self._barrier: Any = ear.create_client(GetParameters, "reward_node/get_parameters")
        self._clients = {
            service.name: service.create_client(ear)
            for service in (services.START_EPISODE, services.END_EPISODE, services.PAUSE, services.RESET)
        }

    def are_heard(self) -> bool:
        """Returns whether reward_node listens to all topics and offers its services."""
        heard = all(publisher.get_subscription_count() for publisher in self._publishers.values())
        return heard and all(client.service_is_ready() for client in (self._barrier, *self._clients.values()))

    def spin(self, seconds: float = 0.05) -> None:
        """Takes what is heard, for at most some seconds."""
        self._executor.spin_once(timeout_sec=seconds)

    def tell(self, told: Told, data: bytes) -> Any:
        """Publishes a message, and returns the future of an answer that comes after reward_node has handled it."""
        node = f"{CLASSIFIER}_node" if told.source == CLASSIFIER else _NODES[told.topic]
        self._publishers[node, told.topic].publish(data)
        return self.ask()

    def ask(self) -> Any:
        """Returns the future of an answer of reward_node, which handles messages and calls in their order."""
        return self._barrier.call_async(GetParameters.Request())

    def call(self, name: str, request: str = "") -> Any:
        """Calls a service of reward_node, and returns the future of its answer. `request` is its fields as JSON."""
        fields = json.loads(request) if request else {}
        types = {services.END_EPISODE.name: EndEpisode, services.PAUSE.name: SetBool}
        return self._clients[name].call_async(types.get(name, Trigger).Request(**fields))

    def renew_robot(self) -> None:
        """Makes the player of robot_node anew, as if the node had died and was started anew."""
        for key in [key for key in self._publishers if key[0] == _ROBOT]:
            del self._publishers[key]
        old = self._nodes[_ROBOT]
        self._executor.remove_node(old)
        old.destroy_node()
        self._nodes[_ROBOT] = self._make_node(_ROBOT)
        for topic in TOLD:
            if _NODES[topic.name] == _ROBOT:
                self._publishers[_ROBOT, topic.name] = topic.create_publisher(self._nodes[_ROBOT])

    def close(self) -> None:
        """Destroys all nodes."""
        for node in (*self._nodes.values(), self._ear):
            self._executor.remove_node(node)
            node.destroy_node()
        self._executor.shutdown(timeout_sec=0.2)

    def _make_node(self, name: str) -> Node:
        node = Node(
            name,
            context=self._context,
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._executor.add_node(node)
        return node

    def _on_outcome(self, message: msg.ChunkOutcome) -> None:
        self.outcomes.add((message.sequence_number, message.valid))

    def _on_ack(self, message: msg.TransitionAck) -> None:
        if message.status != msg.TransitionAck.RETRY:
            self.delivered.add(message.sequence_number)

    def _on_version(self, message: msg.PolicyVersion) -> None:
        self.version = max(self.version, message.version)

    def _on_change(self, message: msg.EpisodeEvent) -> None:
        if message.event in (msg.EpisodeEvent.RESET, msg.EpisodeEvent.STARTED, msg.EpisodeEvent.ENDED):
            self.change = max(self.change, (message.episode, message.event))


def wait_for(players: Players, done: Callable[[], bool], *, patience: float, go_on: Callable[[], None]) -> bool:
    """Spins until something is done, and returns whether it is, within some seconds.

    Args:
        players: what is spun.
        done: returns whether it is done.
        patience: the longest time, s.
        go_on: is called again and again, and raises where waiting is of no use.
    """
    deadline = time.monotonic() + patience
    while not done():
        if time.monotonic() > deadline:
            return False
        go_on()
        players.spin()
    return True
