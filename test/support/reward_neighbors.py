"""Has the neighbors of reward_node in one other node: a policy, a robot, a reward source and a trainer."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import rclpy
from chunk_ppo_msgs import msg
from chunk_ppo_msgs.srv import EndEpisode
from rclpy.context import Context
from rclpy.node import Node
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

from chunk_ppo_ros.core import types
from chunk_ppo_ros.nodes.reward.reward_node import RewardNode
from chunk_ppo_ros.nodes.wire import conversions, qos
from chunk_ppo_ros.nodes.wire.arrays import header_of, time_from_ns
from support.service_paths import SERVICE_PATHS
from support.spinner import Spinner

RUN = "run-a"
HORIZON = 4
REPORTS = ("action_chunk", "bootstrap", "execution_result", "task_reward", "transition_ack")
"""The topics of the neighbors to which reward_node listens, and after which the tests look."""
SOURCE = types.ObservationSource(stamp=1, prompt="reach")
Event, Result, Ack = msg.EpisodeEvent, msg.ExecutionResult, msg.TransitionAck


def make_observation(value: float = 0.0) -> types.ModelObservation:
    return types.ModelObservation(
        images=np.zeros((1, 4, 4, 3), np.uint8),
        image_mask=np.ones(1, bool),
        prompt_tokens=np.arange(3, dtype=np.int32),
        prompt_mask=np.ones(3, bool),
        state=np.full(2, value, np.float32),
    )


def make_chunk(*, value: float, version: int = 0) -> types.SampledChunk:
    return types.SampledChunk(
        observation=make_observation(),
        action_tokens=np.arange(2, dtype=np.int32),
        token_mask=np.ones(2, bool),
        token_log_probs=np.full(2, -1.0, np.float32),
        value=value,
        actions=np.zeros((HORIZON, 2), np.float32),
        policy_version=version,
        temperature=1.0,
        num_steps_asked=HORIZON,
        entropy=0.5,
    )


class Neighbors(Node):
    """Plays everyone whom reward_node talks to, in one node. It answers transitions as `ack` says."""

    name = "neighbors"

    def __init__(self, context: Context) -> None:
        super().__init__(self.name, context=context)
        self.ack: int | None = Ack.ACCEPTED
        self.events: list[msg.EpisodeEvent] = []
        self.outcomes: list[msg.ChunkOutcome] = []
        self.transitions: list[msg.Transition] = []
        publish = self.create_publisher
        self.version = publish(msg.PolicyVersion, "policy_version", qos.LATCHED)
        self.chunk = publish(msg.ActionChunk, "action_chunk", qos.RELIABLE)
        self.result = publish(Result, "execution_result", qos.RELIABLE)
        self.reward = publish(msg.TaskReward, "task_reward", qos.RELIABLE)
        self.bootstrap = publish(msg.Bootstrap, "bootstrap", qos.RELIABLE)
        self.takeover = publish(msg.TakeoverState, "takeover_state", qos.LATCHED)
        self.stop = publish(Bool, "emergency_stop_state", qos.LATCHED)
        self.acks = publish(Ack, "transition_ack", qos.ACKNOWLEDGMENT)
        self.create_subscription(msg.EpisodeEvent, "episode_event", self.events.append, qos.LATCHED_SUBSCRIPTION)
        self.create_subscription(msg.ChunkOutcome, "chunk_outcome", self.outcomes.append, qos.RELIABLE)
        self.create_subscription(msg.Transition, "transition", self.on_transition, qos.TRANSITION)
        self.callers: dict[str, Any] = {
            name: self.create_client(kind, SERVICE_PATHS[name])
            for name, kind in {"start_episode": Trigger, "end_episode": EndEpisode, "pause": SetBool}.items()
        }

    def on_transition(self, message: msg.Transition) -> None:
        self.transitions.append(message)
        if self.ack is not None:
            chunk = message.chunk
            ack = Ack(run_id=RUN, sender=chunk.sender, sequence_number=chunk.sequence_number, status=self.ack)
            self.acks.publish(ack)


class Graph(Spinner):
    """The node under test and its neighbors, spun together."""

    def __init__(self, node: RewardNode, others: Neighbors, context: Context, folder: pathlib.Path) -> None:
        super().__init__(node, others, context=context)
        self.node, self.others, self.folder = node, others, folder

    def restart(self) -> None:
        """Ends the process of reward_node, and starts it anew."""
        self.stop_reward_node()
        self.start_reward_node()

    def stop_reward_node(self) -> None:
        """Ends the process of reward_node, and waits until it does not listen any more.

        Its subscriptions are told apart by their ids, because nodes of earlier tests of this process may listen for
        longer. The number of listeners that a publisher counts would not do: Fast DDS may report two changes as one,
        of which rmw_fastrtps counts neither.
        """
        before = self._subscriptions()
        self.remove(self.node)
        self.until(lambda: not before & self._subscriptions())

    def kill_reward_node(self) -> None:
        """Lets the process of reward_node die: what it does at a regular stop is taken back."""
        (store,) = self.folder.rglob("store/reward")
        shutil.copytree(store, self.folder / "before")
        self.stop_reward_node()
        shutil.rmtree(store)
        (self.folder / "before").rename(store)

    def start_reward_node(self) -> None:
        """Starts another reward_node."""
        before = self._subscriptions()
        self.node = self.add(RewardNode(context=self.others.context))
        others = self.others
        self.until(lambda: {topic for topic, _ in self._subscriptions() - before} == set(REPORTS))
        self.until(lambda: all(others.get_name() in self._publishers_of(topic) for topic in REPORTS))
        self.until(lambda: all(client.service_is_ready() for client in others.callers.values()))

    def restart_robot(self) -> None:
        """Lets another robot_node take the place of the present one."""
        self.others.destroy_publisher(self.others.result)
        self.others.result = self.others.create_publisher(Result, "execution_result", qos.RELIABLE)

    def restart_policy(self) -> None:
        """Lets another policy_node take the place of the present one."""
        self.others.destroy_publisher(self.others.chunk)
        self.others.chunk = self.others.create_publisher(msg.ActionChunk, "action_chunk", qos.RELIABLE)

    def _subscriptions(self) -> set[tuple[str, bytes]]:
        """Returns the topic and the id of each subscription with which a reward_node listens to its neighbors."""
        return {
            (topic, bytes(info.endpoint_gid))
            for topic in REPORTS
            for info in self.others.get_subscriptions_info_by_topic(topic)
            if info.node_name == "reward_node"
        }

    def _publishers_of(self, topic: str) -> list[str]:
        return [info.node_name for info in self.node.get_publishers_info_by_topic(topic)]

    def seen(self) -> str:
        return f"events: {self.event_names()}"

    def event_names(self) -> list[tuple[int, int, int]]:
        return [(event.episode, event.event, event.outcome) for event in self.others.events]

    def call(self, name: str, request: Any) -> Any:
        future = self.others.callers[name].call_async(request)
        self.until(future.done)
        return future.result()

    def announce(self, **fields: Any) -> None:
        self.others.version.publish(msg.PolicyVersion(**{"run_id": RUN, "num_required": 4, **fields}))

    def start(self) -> int:
        """Waits for a reset, starts the episode, and returns its number."""
        self.until(lambda: self.others.events and self.others.events[-1].event == Event.RESET)
        assert self.call("start_episode", Trigger.Request()).success
        self.until(lambda: self.others.events[-1].event == Event.STARTED)
        return self.others.events[-1].episode

    def sample(self, number: int, *, episode: int = 0, chunk: int = 0, value: float = 0.5, version: int = 0) -> None:
        id = types.ChunkId(RUN, number, episode, chunk)
        sampled = make_chunk(value=value, version=version)
        self.others.chunk.publish(conversions.chunk_to_message(id, sampled, stamp=stamp(number)))

    def execute(
        self,
        number: int,
        *,
        status: int = Result.EXECUTED,
        num_steps: int = HORIZON,
        message: str = "",
        num_commands: int = 0,
    ) -> None:
        result = Result(header=header_of(stamp(number)), end=time_from_ns(stamp(number) + 7), num_steps=num_steps)
        result.status, result.message, result.causes = status, message, [0] * num_commands
        result.commanded, result.action_dim = [0.0] * 14 * num_commands, 14 if num_commands else 0
        self.others.result.publish(result)

    def follow(self, number: int, *, chunk: int) -> None:
        """Reports what a human drove as robot_node, then makes a chunk of it as policy_node."""
        header, end = header_of(stamp(number)), time_from_ns(stamp(number) + 7)
        self.others.result.publish(Result(header=header, end=end, num_steps=HORIZON, human=True))
        driven = dataclasses.replace(make_chunk(value=0.75), human_driven=True)
        id = types.ChunkId(RUN, number, 0, chunk)
        self.others.chunk.publish(conversions.chunk_to_message(id, driven, stamp=stamp(number)))

    def take_over(self, human: bool) -> None:
        self.others.takeover.publish(msg.TakeoverState(human=human))
        self.until(lambda: self.node.human_drives == human)

    def judge(self, number: int, *, reward: float = 1.0, source: str = "task", **ends: bool) -> None:
        terms = [msg.RewardTerm(name="progress", value=reward, weight=2.0)]
        header = header_of(stamp(number))
        self.others.reward.publish(msg.TaskReward(header=header, source=source, terms=terms, **ends))

    def bootstrap(self, number: int, *, value: float, version: int = 0) -> None:
        id = types.ChunkId(RUN, number, 0, 0)
        self.others.bootstrap.publish(
            conversions.bootstrap_to_message(
                id, make_observation(9.0), SOURCE, stamp=stamp(number), value=value, policy_version=version
            )
        )

    def play(self, number: int, *, episode: int = 0, chunk: int = 0, value: float = 0.5, **ends: bool) -> None:
        """Plays a whole chunk, up to its outcome."""
        self.sample(number, episode=episode, chunk=chunk, value=value)
        self.execute(number)
        self.judge(number, **ends)
        self.until(lambda: any(outcome.sequence_number == number for outcome in self.others.outcomes))


def stamp(number: int) -> int:
    """Returns the stamp of a chunk, ns."""
    return 1_000_000_000 + number


def make_graph(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> Iterator[Graph]:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = Context()
    settings = [f"run.run_dir:={tmp_path}", "reward.source_timeout:=0.4", *more]
    settings += [f"model.action_horizon:={HORIZON}", "env.max_episode_chunks:=3"]
    rclpy.init(args=["--ros-args", *(part for one in settings for part in ("-p", one))], context=context)
    node, others = RewardNode(context=context), Neighbors(context)
    graph = Graph(node, others, context, tmp_path)
    graph.until(lambda: all(client.service_is_ready() for client in others.callers.values()))
    graph.until(lambda: node.count_publishers("execution_result") and others.count_subscribers("policy_version"))
    graph.spin(0.2)
    yield graph
    graph.close()
    context.try_shutdown()
