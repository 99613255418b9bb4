"""Tests that each node tells what people look for on /diagnostics from its first status on, and what it waits for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import pytest
from chunk_ppo_msgs.msg import EpisodeEvent

from chunk_ppo_ros.imitation.success_classifier import SuccessClassifier, init
from chunk_ppo_ros.nodes.common.status.diagnostics import own_name
from chunk_ppo_ros.nodes.deployment.episode_follower import EpisodeFollower
from chunk_ppo_ros.nodes.sim.episode_starter import EpisodeStarter
from chunk_ppo_ros.nodes.trainer.status.awaited import awaited
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.runtime.description import NODES
from support.node_classes import node_class
from support.node_harness import Peer, node_config, running_graph

WAITS = "waits for"
ARMS = {"age of left arm", "age of right arm"}
CAMERAS = {"age of cam_high", "age of cam_left_wrist", "age of cam_right_wrist"}
STATUSES = {"robot_node": "robot_node: chunk player"}
"""The names of statuses that are not those of their nodes."""
REQUIRED = {
    "recorder_node": {WAITS},
    "trainer_node": {WAITS, "queue"},
    "deployment_node": {WAITS},
    "policy_node": {WAITS, *ARMS, *CAMERAS},
    "classifier_node": {WAITS, "queue", *CAMERAS},
    "reward_node": {WAITS, "queue"},
    "robot_node": {WAITS, *ARMS},
    "sim_node": {WAITS},
    "view_node": {WAITS},
}
"""The keys that the status of each node has, from the first on. docs/ros-tools.md lists them among others."""


class Listener(Peer):
    """Hears /diagnostics."""

    def __init__(self) -> None:
        super().__init__()
        self.listen(topics.DIAGNOSTICS.message_type, topics.DIAGNOSTICS.name, topics.DIAGNOSTICS.read_profile)

    def values_of(self, name: str) -> dict[str, str]:
        """Returns the keys and values of the newest status of a name; none before one."""
        found = [status for message in self.heard[topics.DIAGNOSTICS.name] for status in message.status]
        of_name = [status for status in found if own_name(status, "/") == name]
        return {each.key: each.value for each in of_name[-1].values} if of_name else {}


def settings_of(node: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Returns the settings with which a node starts alone, and loads no weights."""
    sections: dict[str, dict[str, Any]] = {"run": {"run_dir": str(folder / "runs"), "autostart": False}}
    if node == "deployment_node":
        sections["deploy"] = {"checkpoints": ("a",)}
    if node == "classifier_node":
        cameras = tuple(sorted(key.removeprefix("age of ") for key in CAMERAS))
        classifier = SuccessClassifier(init(3, key=jax.random.key(0)), cameras, threshold=0.5, held_out_accuracy=0.5)
        classifier.save(folder / "door.npz")
        sections["reward"] = {"sources": ("task", "classifier"), "classifier": str(folder / "door.npz")}
    return sections


def test_the_table_has_all_nodes() -> None:
    assert set(REQUIRED) == {entry.name for entry in NODES}


@pytest.mark.graph
@pytest.mark.parametrize("node", REQUIRED)
def test_a_node_tells_what_people_look_for(node: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = node_config(tmp_path, **settings_of(node, tmp_path))
    name = STATUSES.get(node, node)
    with running_graph(config, tmp_path, Listener, capfd) as graph:
        graph.add(node_class(node)())
        graph.until(lambda: graph.peer.values_of(name))
        values = graph.peer.values_of(name)
    assert REQUIRED[node] <= values.keys()
    ages = {key for key in values if key.startswith("age of ")}
    assert all(values[key] == "nan" for key in ages), "nothing has sent a reading"


def run_with(num_accepted: int = 3, **changes: object) -> Any:
    """Returns a run whose rollout needs four transitions."""
    buffer = SimpleNamespace(num_accepted=num_accepted, num_required=4, is_complete=num_accepted >= 4)
    usual = {"unsaved_metrics": None, "is_updating": False, "is_finished": False}
    intake = SimpleNamespace(waits_for_disk=changes.pop("waits_for_disk", False))
    return SimpleNamespace(**{**usual, "buffer": buffer, "intake": intake, **changes})


WORKS = {"is_working": True}


@pytest.mark.parametrize(
    ("node", "run", "text"),
    [
        ({}, None, "an operator, who configures the node"),
        (WORKS, None, ""),
        ({"is_active": False}, run_with(), "an operator, who activates the node"),
        ({"is_active": False, "starts_itself": True}, run_with(), "1 more transition"),
        ({}, run_with(), "1 more transition"),
        ({}, run_with(0), "4 more transitions"),
        ({}, run_with(waits_for_disk=True), "the disk, to store transitions"),
        (WORKS, run_with(4, is_updating=True), ""),
        (WORKS, run_with(4, is_updating=True, unsaved_metrics={}), ""),
        ({}, run_with(4, is_updating=True, unsaved_metrics={}), "the disk, to save the checkpoint"),
        ({}, run_with(4), "an operator, because the update has failed"),
        ({"waits": True}, run_with(4), "the first reports of reward_node"),
        ({}, run_with(0, is_finished=True), ""),
    ],
)
def test_trainer_node_says_what_training_waits_for(node: dict[str, bool], run: Any, text: str) -> None:
    reports: Any = SimpleNamespace(waits=node.get("waits", False))
    trainer: Any = SimpleNamespace(**{"is_active": True, "starts_itself": False, "is_working": False, **node})
    assert awaited(trainer, run, reports) == text


def test_sim_node_says_what_the_start_of_an_episode_waits_for() -> None:
    client: Any = SimpleNamespace(is_there=False, service_is_ready=lambda: client.is_there)
    client.call_async = lambda request: SimpleNamespace(add_done_callback=lambda call: None)
    client.remove_pending_request = lambda future: None
    logger = SimpleNamespace(info=lambda text: None)
    node: Any = SimpleNamespace(
        get_logger=lambda: logger, create_client=lambda *_: client, create_timer=lambda *_, **__: None
    )
    robot = SimpleNamespace(is_ready=False)
    starter = EpisodeStarter(node, is_robot_ready=lambda: robot.is_ready)
    assert starter.waits_for == ""
    starter.request()
    assert starter.waits_for == "robot_node, which prepares the drivers of the arms"
    robot.is_ready = True
    assert starter.waits_for == "the service start_episode of reward_node"
    client.is_there = True
    starter.request()
    assert starter.waits_for == "reward_node, which is asked to start the episode"
    starter.cancel()
    assert starter.waits_for == ""


def test_the_episode_that_started_last_is_known() -> None:
    follower = EpisodeFollower(["a"], now=lambda: "now")
    assert follower.newest is None
    for episode in (4, 5):
        follower.started(episode)
    follower.ended(EpisodeEvent(episode=5), policy=0, version=0)
    assert follower.newest == 5
