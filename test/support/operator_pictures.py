"""Has pictures of an operator's screen: a running episode, and changes of it. Nothing here needs a graph."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from chunk_ppo_ros.nodes.common.newest_chunk import NewestChunk
from chunk_ppo_ros.nodes.common.sensors.sensor_ages import SensorAge, age_values
from chunk_ppo_ros.nodes.operate.actions.table import Action, Request
from chunk_ppo_ros.nodes.operate.desk import Desk
from chunk_ppo_ros.nodes.operate.intake import PLAYER
from chunk_ppo_ros.nodes.operate.picture import (
    Board,
    ChunkEnd,
    Driver,
    Episode,
    Level,
    Phase,
    Picture,
    Place,
    Rollout,
    Status,
)
from chunk_ppo_ros.nodes.operate.session import Session
from chunk_ppo_ros.nodes.wire import services
from chunk_ppo_ros.rewards.bookkeeping.episode_counts import PromptCounts
from chunk_ppo_ros.rewards.bookkeeping.run_times import Times
from chunk_ppo_ros.robot.leaders.handover import Leaders

PLACE = Place(37, "this machine only", "")
CAMERAS = ("cam_high", "cam_left_wrist", "cam_right_wrist")
EPISODE = Episode(
    run_id="cups",
    sender="robot_0",
    number=12,
    phase=Phase.RUNNING,
    paused=False,
    prompt="put the red cube into the cup",
    reset="operator",
    mark="",
    waits_for="",
    command="",
    num_chunks=3,
    num_steps=48,
    total_reward=0.0,
    counts=(PromptCounts("put the red cube into the cup", 12, 5, 3, 2, 1),),
    times=Times(3723.0, 900.0, 400.0, 120.0, 2500.0, 60.0, 300.0),
    heard=0.0,
)
PLAYER_VALUES = {
    "chunks_refused": "1",
    "chunks_fault": "2",
    "chunks_limited": "3",
    "num_steps": "2400",
    "num_clamped_steps": "70",
}


def ages(*names: str, seconds: float = 0.03) -> dict[str, str]:
    return age_values([SensorAge(name, seconds) for name in names])


def running(**changes: Any) -> Picture:
    """Returns a picture of a running episode with news of now, and with changes of the picture."""
    now = time.monotonic()
    statuses = [
        Status(PLAYER, Level.OK, "playing", PLAYER_VALUES | ages("left leader", "right leader"), now),
        Status("policy_node", Level.OK, "active; acting", ages(*CAMERAS, "left arm", "right arm"), now),
    ]
    picture = Picture(
        place=PLACE,
        nodes=frozenset({"reward_node", "robot_node", "policy_node", "trainer_node"}),
        episode=dataclasses.replace(EPISODE, heard=now),
        driver=Driver(human=False, leaders=Leaders.FREE, message=""),
        stopped=False,
        rollout=Rollout(7, 57, 128),
        chunk=NewestChunk(941, 12, 3, 7, 0.43, 16, False, 2_000, 1_000),
        ends=tuple(ChunkEnd(number, "EXECUTED", 16, 0.0, True, False, number, 1) for number in range(4)),
        start_age=0.12,
        statuses={status.name: status for status in statuses},
    )
    return dataclasses.replace(picture, **changes)


def in_episode(**changes: Any) -> Picture:
    """Returns a picture of an episode with changes of the episode."""
    picture = running()
    assert picture.episode is not None
    return dataclasses.replace(picture, episode=dataclasses.replace(picture.episode, **changes))


READY = {
    "phase": Phase.READY,
    "waits_for": "the start of the episode; the robot moves from then on",
    "command": services.START_EPISODE.command,
}
"""The fields of an episode that waits for its start."""


class FakeCalls:
    """Keeps what nodes are asked for, as (name of the action, request). A stop is ("STOP", {})."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def call(self, action: Action, request: Request) -> None:
        self.asked.append((action.name, dict(request)))

    def stop(self) -> None:
        self.asked.append(("STOP", {}))


class FakeSession(Session):
    """A session without a graph, which shows a picture and keeps what is asked for."""

    def __init__(self, picture: Picture) -> None:
        self.calls = FakeCalls()
        board = Board(picture.place)
        board.change(lambda _: picture)
        super().__init__(board, Desk(board, self.calls))
