"""Tests that each node forgets stored messages, and takes ends of episodes, only as the right node says."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import pytest
from chunk_ppo_msgs import msg

from chunk_ppo_ros.agent.next_step.announced_version import Announcement
from chunk_ppo_ros.agent.next_step.stored_rollout import StoredRollout
from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.peers.publisher_guard import PublisherGuard
from chunk_ppo_ros.nodes.policy.rollout_facts import RolloutFacts
from chunk_ppo_ros.nodes.sim.reward_reports import RewardReports
from chunk_ppo_ros.nodes.trainer.episode_reports import EpisodeReports
from support.fake_node import FakeNode

DISCARDED = msg.EpisodeEvent(
    run_id="run", sender=DEFAULT_SENDER, episode=3, event=msg.EpisodeEvent.ENDED, outcome=msg.EpisodeEvent.DISCARDED
)


class Store:
    """Stands for the store of policy_node, and counts the episodes that it may forget."""

    def __init__(self) -> None:
        self.settled: list[int] = []

    def forget_segments(self) -> None:
        pass

    def settle_episode(self, episode: int) -> None:
        self.settled.append(episode)


class Scene:
    """Stands for the watch of the scene."""

    def episode_reset(self, now: float) -> None:
        pass


@pytest.fixture
def node() -> FakeNode:
    node = FakeNode()
    for topic in ("episode_event", "execution_result"):
        node.present[topic] = ["attacker", "reward_node" if topic == "episode_event" else "robot_node"]
    return node


def hear(node: FakeNode, message: Any, publisher: str, *, topic: str = "episode_event") -> None:
    node.subscribers[topic](message, publisher)


def test_policy_node_forgets_no_chunk_of_an_episode_that_another_node_discards(node: FakeNode) -> None:
    def ignore(*arguments: object) -> None:
        pass

    store: Any = Store()
    facts = RolloutFacts(
        node,  # type: ignore[arg-type]
        store,
        StoredRollout(),
        Scene(),  # type: ignore[arg-type]
        action_dim=14,
        peek=lambda: None,
        on_change=ignore,
        on_referee=ignore,
        on_segment=ignore,
    )
    facts.state.announce(Announcement("run", 0, num_accepted=0, num_required=4))
    hear(node, DISCARDED, "attacker")
    assert store.settled == []
    hear(node, DISCARDED, "reward_node")
    assert store.settled == [3]


def test_trainer_node_takes_no_end_of_an_episode_from_another_node(node: FakeNode) -> None:
    ended: list[Any] = []
    guard = PublisherGuard(node, node)  # type: ignore[arg-type]
    EpisodeReports(node, guard, run_id=lambda: "run", on_end=ended.append)  # type: ignore[arg-type]
    hear(node, DISCARDED, "attacker")
    assert ended == []
    hear(node, DISCARDED, "reward_node")
    assert ended == [DISCARDED]


@pytest.mark.parametrize("topic", ["episode_event", "execution_result"])
def test_sim_node_and_classifier_node_guard_what_their_reports_depend_on(
    node: FakeNode, topic: str, tmp_path: pathlib.Path
) -> None:
    reports = RewardReports(node, tmp_path / "sim", Conditions(node))  # type: ignore[arg-type]
    got: list[str] = []
    take: Callable[..., None] = reports.guard.only_from_one(topic, got.append)
    for publisher in node.present[topic]:
        take(publisher, {"source_timestamp": 1, "publisher_gid": {"data": publisher.encode()}})
    reports.close()
    assert got == [node.present[topic][1]]
