"""Makes the inputs of a chunk player: joint states, chunks, and the numbers that they are made of."""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.core.execution import ExecutionResult
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.arm_trajectory import ArmTrajectory
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer

DT = 0.02
REACH = 3.14159 * DT
HOME = aloha.START_POSE


def observe(player: ChunkPlayer, now: float, state: np.ndarray = HOME) -> None:
    for side in aloha.SIDES:
        player.observe(side, state[aloha.side_slice(side)], stamp=round(now * 1e9), now=now)


def halves(targets: np.ndarray, stamp: int = 1) -> dict[str, ArmTrajectory]:
    times = np.arange(1, len(targets) + 1) * DT
    return {side: ArmTrajectory(stamp, times, targets[:, aloha.side_slice(side)]) for side in aloha.SIDES}


def send(player: ChunkPlayer, targets: np.ndarray, *, now: float, stamp: int = 1, age: float = 0.0) -> None:
    for side, half in halves(targets, stamp).items():
        player.receive(side, half, age=age, now=now)


def ramp(num_steps: int, per_step: float, joint: int = 0) -> np.ndarray:
    targets = np.tile(HOME, (num_steps, 1))
    targets[:, joint] += per_step * np.arange(1, num_steps + 1)
    return targets


def only(records: list[ExecutionResult]) -> ExecutionResult:
    assert len(records) == 1, records
    return records[0]
