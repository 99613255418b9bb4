"""Tests that no motion begins with a leap while the robot still brakes, although the operator has looked.

The arms are blocked and measured at the home pose, while the commands go on. The operator's look allows that the next
motion begins where they are. The control period is 0.02 s.
"""

from __future__ import annotations

import numpy as np
import pytest

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import Status
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.trust_rule import TrustRule
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer
from support.player_inputs import DT, HOME, observe, only, ramp, send

A_T2 = 0.004
"""The largest change of a step, rad, at 10 rad/s^2."""


class Blocked:
    """A player whose arms are blocked at the home pose."""

    def __init__(self) -> None:
        config = RobotConfig(max_velocity=1.5, max_acceleration=10.0, max_start_jump=0.2)
        trust = TrustRule.of(config, simulated=False)
        self.player = ChunkPlayer(config, state_timeout=0.5, states_on_demand=False, trust=trust)
        self.now = 1.0
        self.sent = [np.array(HOME)]
        for _ in range(20):
            self.step()

    def step(self, leader: np.ndarray | None = None) -> None:
        """Plays one control period in which the leaders stand at `leader`, or are silent."""
        self.now += DT
        observe(self.player, self.now, HOME)
        if leader is not None:
            for side in aloha.SIDES:
                self.player.observe_leader(side, leader[aloha.side_slice(side)], now=self.now)
        target = self.player.tick(self.now, stamp=round(self.now * 1e9))
        if target is not None:
            self.sent.append(target)

    def brakes(self) -> bool:
        """Whether the last command was as slow as the acceleration allows after the one before, and moved."""
        steps = np.diff(np.array(self.sent[-3:])[:, 0])
        return steps[1] > 0.0 and np.isclose(steps[0] - steps[1], A_T2)


@pytest.fixture
def blocked() -> Blocked:
    return Blocked()


def test_a_human_is_followed_from_the_measured_position_only_once_the_robot_rests(blocked: Blocked) -> None:
    for _ in range(20):
        blocked.step(HOME)
    blocked.player.take_over()
    for leader in ramp(25, 0.02):
        blocked.step(leader)
    assert blocked.player.playing
    blocked.player.suspend("paused")
    blocked.step(HOME)
    blocked.player.resume()
    for _ in range(3):
        blocked.step(HOME)
        assert blocked.brakes() and not blocked.player.playing
        assert "must come to rest" in blocked.player.teleoperation_problem
    for _ in range(4):
        blocked.step(HOME)
    np.testing.assert_allclose(blocked.sent[-1], HOME)
    assert blocked.player.playing


def test_a_chunk_starts_at_the_measured_position_only_once_the_robot_rests(blocked: Blocked) -> None:
    send(blocked.player, ramp(16, 0.05), now=blocked.now)
    while blocked.player.playing:
        blocked.step()
    assert only(blocked.player.take_results()).status is Status.LIMITED
    blocked.player.resume()
    blocked.step()
    assert blocked.brakes()
    send(blocked.player, ramp(4, 0.0), now=blocked.now, stamp=2)
    blocked.step()
    assert blocked.brakes()
    assert "still comes to rest" in only(blocked.player.take_results()).message
    for _ in range(10):
        blocked.step()
    send(blocked.player, ramp(4, 0.0), now=blocked.now, stamp=3)
    blocked.step()
    np.testing.assert_allclose(blocked.sent[-1], HOME)
