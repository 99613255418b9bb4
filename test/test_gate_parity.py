"""Tests that the script form and the chunk player command the same for the same chunks."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from chunk_ppo_ros.config import PRESETS, RobotConfig, TrainConfig
from chunk_ppo_ros.core.execution import Cause, ExecutionResult, Status
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.arm_trajectory import ArmTrajectory
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer
from chunk_ppo_ros.robot.player.make_player import make_player
from chunk_ppo_ros.sim.chunk_executor import ChunkExecutor
from chunk_ppo_ros.sim.interface import Simulator
from chunk_ppo_ros.sim.simulator import make_simulator

HORIZON = 16
PERIOD = 0.02


def configure(**robot: Any) -> TrainConfig:
    base = PRESETS["debug"]
    return dataclasses.replace(base, robot=dataclasses.replace(base.robot, **robot))


def random_chunks(count: int) -> list[np.ndarray]:
    """Returns chunks [k, 14] that wander, jump, and leave the joint ranges."""
    random = np.random.default_rng(0)
    pose, chunks = np.array(aloha.START_POSE), []
    for _ in range(count):
        steps = random.normal(scale=random.choice([0.003, 0.03, 0.3]), size=(random.integers(1, HORIZON + 1), 14))
        chunks.append(pose + np.cumsum(steps, axis=0))
        pose = np.clip(chunks[-1][-1], aloha.LOWER_LIMITS, aloha.UPPER_LIMITS)
    return chunks


def play(player: ChunkPlayer, simulator: Simulator, chunk: np.ndarray, stamp: int) -> ExecutionResult:
    """Plays a chunk as robot_node does in lockstep with the simulator, and returns its result."""

    def observe(number: int) -> None:
        state = simulator.state().astype(float)
        for side in aloha.SIDES:
            player.observe(side, state[aloha.side_slice(side)], stamp=stamp + number, now=0.0)

    observe(0)
    times = np.arange(1, len(chunk) + 1) * PERIOD
    for side in aloha.SIDES:
        player.receive(side, ArmTrajectory(stamp, times, chunk[:, aloha.side_slice(side)]), age=0.0, now=0.0)
    number = 1
    while player.playing:
        target = player.tick(0.0, stamp=stamp + number)
        if target is not None:
            simulator.step(target)
            observe(number)
            number += 1
    (result,) = player.take_results()
    return result


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"max_velocity": 1.5, "max_acceleration": 10.0},
        {
            "max_velocity": 1.5,
            "max_acceleration": 10.0,
            "table_height": 0.2,
            "workspace_box": ("x=-0.4/0.5", "y=-0.3/0.3"),
        },
    ],
    ids=["simulated presets", "a robot's limits", "a robot's workspace"],
)
def test_the_script_form_and_the_chunk_player_send_the_same_commands(limits: dict[str, Any]) -> None:
    config = configure(**limits)
    simulators = [make_simulator(config) for _ in range(2)]
    executor, player = ChunkExecutor(simulators[0], config.robot), make_player(config)
    executor.reset(seed=3)
    simulators[1].reset(seed=3)
    statuses, causes = set(), Cause(0)
    for number, chunk in enumerate(random_chunks(60)):
        expected, _ = executor.execute(chunk)
        found = play(player, simulators[1], chunk, stamp=(number + 1) * 1_000)
        statuses.add(found.status)
        assert (found.status, found.num_steps, found.message) == (
            expected.status,
            expected.num_steps,
            expected.message,
        )
        np.testing.assert_array_equal(found.commanded, expected.commanded)
        np.testing.assert_array_equal(found.causes, expected.causes)
        assert found.max_clamp == expected.max_clamp
        causes |= Cause(int(np.bitwise_or.reduce(found.causes)))
    # With a robot's limits some chunks are too slow.
    assert statuses == ({Status.EXECUTED, Status.LIMITED} if limits else {Status.EXECUTED})
    assert (Cause.WORKSPACE in causes) == ("table_height" in limits)
    assert RobotConfig().max_acceleration == 0.0
