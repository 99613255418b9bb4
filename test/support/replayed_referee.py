"""Records what a reward_node has handled, and lets another one handle it again."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import rclpy
from chunk_ppo_msgs import msg
from rclpy.context import Context
from rclpy.serialization import serialize_message

from chunk_ppo_ros.nodes.common.inputs.handled_inputs import RECORDED_ONCE
from chunk_ppo_ros.nodes.replay.comparison import canonical
from chunk_ppo_ros.nodes.replay.handled import Handled, in_order, of_run
from chunk_ppo_ros.nodes.replay.replayed_referee import ReplayedRewardNode
from chunk_ppo_ros.nodes.wire import topics
from support.reward_neighbors import HORIZON, RUN, Event, Graph


class Recording:
    """What the neighbors hear of a reward_node."""

    def __init__(self, graph: Graph) -> None:
        self.told: list[msg.HandledInput] = []
        self.raw: dict[tuple[str, int], bytes] = {}
        topics.HANDLED_INPUT.create_subscription(graph.others, self.told.append)
        for topic in (topics.ACTION_CHUNK, topics.BOOTSTRAP):
            topic.create_subscription(graph.others, lambda message, name=topic.name: self._keep(name, message))

    def _keep(self, name: str, message: Any) -> None:
        self.raw.setdefault((name, message.sequence_number), serialize_message(message))

    def inputs(self) -> tuple[Handled, ...]:
        """Returns what reward_node has handled, in its order."""
        return of_run(in_order(map(Handled.of, self.told), "reward_node"), RUN)


def replayed(folder: pathlib.Path, recording: Recording) -> ReplayedRewardNode:
    """Returns a reward_node that has handled what was recorded. Its folder is new."""
    context = Context()
    settings = [f"run.run_dir:={folder}", f"model.action_horizon:={HORIZON}", "env.max_episode_chunks:=3"]
    settings += ["episode.reset:=operator", "episode.start_automatically:=false"]
    rclpy.init(args=["--ros-args", *(part for one in settings for part in ("-p", one))], context=context)
    node = ReplayedRewardNode(context)
    try:
        for one in recording.inputs():
            key = (one.name, one.number)
            node.hand_over(one, recording.raw[key] if one.name in RECORDED_ONCE else one.content)
    finally:
        node.destroy_node()
        context.try_shutdown()
    return node


def contents(messages: Iterable[Any]) -> dict[int, bytes]:
    """Returns the first message of each transition, by its number."""
    found: dict[int, bytes] = {}
    for message in messages:
        found.setdefault(message.chunk.sequence_number, canonical(serialize_message(message)))
    return found


def endings(messages: Iterable[Any]) -> dict[int, tuple[int, float, int, bool]]:
    """Returns how each episode ended, by its number."""
    ended = (message for message in messages if message.event == Event.ENDED)
    return {
        one.episode: (one.outcome, float(np.float32(one.total_reward)), one.num_chunks, one.intervened) for one in ended
    }
