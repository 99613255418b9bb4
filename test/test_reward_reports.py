"""Tests what sim_node reports of chunks when other nodes are started anew."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
from chunk_ppo_msgs import msg

from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.deployment.episode_follower import EpisodeFollower
from chunk_ppo_ros.nodes.sim.reward_reports import RewardReports
from chunk_ppo_ros.sim.interface import StepReward
from support.fake_node import FakeNode


@pytest.mark.parametrize(("stamp", "is_running"), [(10, True), (20, False)])
def test_a_start_that_is_published_again_keeps_the_steps_of_a_chunk(
    stamp: int, is_running: bool, tmp_path: pathlib.Path
) -> None:
    node: Any = FakeNode()
    reports = RewardReports(node, tmp_path, Conditions(node))
    reports.note_start(10)
    reports.rewards.begin()
    reports.rewards.add(StepReward((RewardTerm("reach", 1.0, weight=1.0),), terminated=False, success=False))
    reports.note_start(stamp)
    assert reports.rewards.is_running == is_running
    assert len(reports.rewards.finish().terms) == is_running
    reports.close()


def test_the_record_of_an_episode_keeps_its_first_start() -> None:
    times = iter(["09:00", "09:05", "09:10"])
    follower = EpisodeFollower(["step_1"], now=lambda: next(times))
    follower.started(3)
    follower.started(3)  # reward_node was started anew
    event = msg.EpisodeEvent
    record = follower.ended(event(episode=3, outcome=event.FAILURE), policy=0, version=1)
    assert record.started == "09:00"
