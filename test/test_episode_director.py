"""Tests that a pause of an episode is the last word, also where the disk has held back what came before it."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.reward.durable.chunk_ledger import ChunkLedger
from chunk_ppo_ros.nodes.reward.durable.restoration import progress_of
from chunk_ppo_ros.nodes.reward.durable.run_log import RunLog
from chunk_ppo_ros.nodes.reward.episode_director import EpisodeDirector
from chunk_ppo_ros.nodes.reward.episode_publisher import EpisodePublisher
from chunk_ppo_ros.nodes.reward.run_records import RunRecords
from chunk_ppo_ros.rewards.episodes import OPERATOR, RESTART, Event
from support.fake_node import FakeNode
from support.fragile_store import FragileStore


class Rig:
    """A director of episodes with a log on a disk that can be full. It discards nothing."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.node: Any = FakeNode()
        conditions, nothing = Conditions(self.node), Any
        self.store = FragileStore(folder / "store", name="reward")
        self.log = RunLog(self.node, conditions, self.store)
        self.log.open()
        self.log.begin_run("run", ChunkLedger())
        self.records = RunRecords(TrainConfig(), prompt_for=lambda episode: "reach")
        self.records.begin("run", next_episode=0)
        publisher = EpisodePublisher(self.node, conditions, folder / "episodes.json")
        parts: Any = (publisher, nothing, nothing, self.log, TrainConfig().reward)
        self.director = EpisodeDirector(self.node, self.records, *parts, on_changes=lambda changes: None)
        self.log.find_progress = lambda: progress_of(self.records, self.director, {})
        self.director.next_episode("the run begins")

    def events(self) -> list[int]:
        """Returns what was published of the episode since its reset."""
        return [event.event for event in self.node.publishers["episode_event"].messages][1:]


@pytest.fixture
def rig(tmp_path: pathlib.Path) -> Rig:
    return Rig(tmp_path)


def test_an_operator_who_pauses_while_the_end_of_a_pause_waits_for_the_disk_is_obeyed(rig: Rig) -> None:
    episodes, publish = rig.records.episodes, rig.director.publish
    publish(episodes.start("go"))
    publish(episodes.hold(OPERATOR, "stop"))
    rig.store.is_full = True
    publish(episodes.release(OPERATOR, "go on"))
    publish(episodes.hold(OPERATOR, "stop again"))
    assert rig.events() == [Event.STARTED, Event.PAUSED, Event.PAUSED]
    rig.store.is_full = False
    rig.log.tick(100.0)
    assert rig.events() == [Event.STARTED, Event.PAUSED, Event.PAUSED, Event.PAUSED]
    assert rig.node.publishers["episode_event"].messages[-1].message == "stop again"
    publish(episodes.release(OPERATOR, "go on"))
    assert rig.events()[-1] == Event.RESUMED


def test_a_pause_that_comes_in_the_same_step_as_the_start_follows_it(rig: Rig) -> None:
    episodes = rig.records.episodes
    with rig.log.whole():
        rig.director.publish(episodes.start("by itself"))
        rig.director.publish(episodes.hold(RESTART, "policy_node was started anew"))
    assert rig.events() == [Event.PAUSED, Event.STARTED, Event.PAUSED]


def test_an_episode_that_starts_in_a_pause_is_paused_once(rig: Rig) -> None:
    episodes = rig.records.episodes
    rig.director.publish(episodes.hold(OPERATOR, "stop"))
    rig.director.publish(episodes.start("go"))
    assert rig.events() == [Event.STARTED, Event.PAUSED]
