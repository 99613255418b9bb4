"""Tests the environment form on a simulator that writes down its targets, and on the kinematic one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from chunk_ppo_ros.agent.env import SimulatorEnv
from chunk_ppo_ros.config import PRESETS, EnvConfig, RewardConfig, RobotConfig
from chunk_ppo_ros.core.errors import ChunksRefused
from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim.chunk_executor import ChunkExecutor
from chunk_ppo_ros.sim.interface import StepReward
from chunk_ppo_ros.sim.scene import SceneState
from chunk_ppo_ros.sim.simulator import make_simulator

CONFIG = dataclasses.replace(
    PRESETS["debug"], env=EnvConfig(simulator="kinematic", max_episode_chunks=3), robot=RobotConfig(max_start_jump=0.5)
)
HOLD = np.tile(aloha.START_POSE, (16, 1))


class FakeSimulator:
    """Obeys exactly, writes down its targets, and pays 0.5 * 2 a step. It ends in success at step `success_at`."""

    control_rate = 50.0
    camera_names = aloha.CAMERAS
    prompt = "do nothing"

    def __init__(self, success_at: int = 10**9) -> None:
        self.success_at = success_at
        self.targets: list[np.ndarray] = []
        self.lag = np.zeros(14)

    def reset(self, *, seed: int, pose: np.ndarray | None = None) -> None:
        self.targets = []

    def step(self, target: np.ndarray) -> StepReward:
        self.targets.append(target)
        success = len(self.targets) == self.success_at
        terms = (RewardTerm("progress", 2.0, 0.5), RewardTerm("success", float(success)))
        return StepReward(terms, terminated=success, success=success)

    def state(self) -> np.ndarray:
        last = self.targets[-1] if self.targets else aloha.START_POSE
        return (last - self.lag).astype(np.float32)

    def joint_velocities(self) -> np.ndarray:
        return np.zeros(14, np.float32)

    def efforts(self) -> np.ndarray:
        return np.full(12, -2.0, np.float32)

    def scene(self) -> SceneState:
        return SceneState(np.zeros((2, 3)))

    def render(self) -> np.ndarray:
        return np.full((3, 64, 64, 3), len(self.targets), np.uint8)

    def close(self) -> None:
        pass


def make(success_at: int = 10**9) -> tuple[SimulatorEnv, FakeSimulator]:
    simulator = FakeSimulator(success_at)
    env = SimulatorEnv(simulator, CONFIG)
    env.reset(seed=0)
    return env, simulator


def test_a_chunk_sums_its_steps():
    env, simulator = make()
    observation, reward, done, outcome = env.step_chunk(HOLD)
    assert len(simulator.targets) == outcome.num_steps == 16
    # Each of 16 steps pays 0.5 * 2.
    assert reward == outcome.reward == 16.0
    assert outcome.reward_terms == (RewardTerm("progress", 32.0, 0.5), RewardTerm("success", 0.0))
    assert not done
    assert not outcome.terminated
    assert not outcome.truncated
    assert np.all(observation.images == 16)
    assert observation.image_mask.tolist() == [True] * 3
    assert observation.prompt == "do nothing"
    assert observation.state.dtype == np.float32


def test_penalties_join_the_terms_of_the_task():
    # The task pays 0.5 * 0.5 * 2 in 16 steps. One joint jumps by 0.3 rad, where a step may cover 0.0628. Its third
    # differences around the jump are 0.3, -0.6 and 0.3. The joints strain with 2 N m in 16 steps.
    reward = RewardConfig(term_weights=("progress=0.5",), clamped_penalty=1.0, jerk_penalty=12.0, effort_penalty=0.25)
    config = dataclasses.replace(CONFIG, env=EnvConfig(), reward=reward)
    env = SimulatorEnv(FakeSimulator(), config)
    env.reset(seed=0)
    actions = HOLD.copy()
    actions[8:, 0] += 0.3
    _, total, _, outcome = env.step_chunk(actions)
    values = {term.name: term.weight * term.value for term in outcome.reward_terms}
    assert outcome.execution.num_clamped_steps == 4  # 0.0628, 0.1257, 0.1885, 0.2513, then there
    jerk = 0.3**2 + 0.6**2 + 0.3**2  # of one joint in twelve
    assert values == pytest.approx({"progress": 8.0, "success": 0.0, "clamped": -4.0, "jerk": -jerk, "effort": -8.0})
    assert total == outcome.reward == pytest.approx(8.0 - 4.0 - jerk - 8.0)


@pytest.mark.parametrize("sources", [(), ("task", "scale")])
def test_the_simulator_is_the_only_source(sources):
    config = dataclasses.replace(CONFIG, reward=RewardConfig(sources=sources))
    with pytest.raises(ValueError, match=r"reward\.sources must be task .* start the graph"):
        SimulatorEnv(FakeSimulator(), config)


def test_the_time_limit_truncates():
    env, _ = make()
    dones = [env.step_chunk(HOLD)[2:] for _ in range(3)]
    assert [done for done, _ in dones] == [False, False, True]
    assert [outcome.truncated for _, outcome in dones] == [False, False, True]
    assert not dones[-1][1].terminated


def test_shorter_chunks_have_the_same_time():
    """Three whole chunks of 16 are 48 steps. After 16 + 5 + 16 = 37 steps the next chunk is cut after 11."""
    env, simulator = make()
    outcomes = [env.step_chunk(HOLD[:k])[3] for k in (16, 5, 16, 12)]
    assert [outcome.num_steps for outcome in outcomes] == [16, 5, 16, 11]
    assert [outcome.reward for outcome in outcomes] == [16.0, 5.0, 16.0, 11.0]  # 0.5 * 2 a step
    assert [outcome.truncated for outcome in outcomes] == [False, False, False, True]
    assert len(simulator.targets) == 48
    env.reset(seed=0)
    assert not env.step_chunk(HOLD)[2]


def test_success_stops_the_chunk():
    env, simulator = make(success_at=20)
    env.step_chunk(HOLD)
    _, reward, done, outcome = env.step_chunk(HOLD)
    # The 20th step is the 4th of the second chunk, so it pays 4 * 0.5 * 2 + 1.
    assert outcome.num_steps == 4
    assert len(simulator.targets) == 20
    assert reward == 5.0
    assert done
    assert outcome.terminated
    assert outcome.success
    assert not outcome.truncated


def test_success_in_the_last_chunk_is_no_truncation():
    env, _ = make(success_at=48)
    for _ in range(2):
        env.step_chunk(HOLD)
    outcome = env.step_chunk(HOLD)[3]
    assert outcome.terminated
    assert not outcome.truncated


def test_targets_are_limited_in_speed_and_range():
    env, simulator = make()
    actions = HOLD.copy()
    actions[1:, 1] = 1.0  # 1.96 rad away: 0.0628318 rad a step
    outcome = env.step_chunk(actions)[3]
    np.testing.assert_allclose(simulator.targets[1][1], -0.96 + 0.0628318, atol=1e-6)
    np.testing.assert_allclose(simulator.targets[15][1], -0.96 + 15 * 0.0628318, atol=1e-6)
    assert outcome.execution.num_clamped_steps == 15


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (HOLD[:0], r"shape \(k, 14\) with k within 1..16, got \(0, 14\)"),
        (np.tile(HOLD, (2, 1))[:17], r"shape \(k, 14\) with k within 1..16, got \(17, 14\)"),
        (HOLD[:, :13], r"got \(16, 13\)"),
        (np.where(np.arange(14) == 5, np.nan, HOLD), "finite, got nan at step 0, dim 5"),
        (np.where(np.arange(14) == 5, np.inf, HOLD), "finite, got inf"),
    ],
)
def test_bad_actions_move_nothing_and_cost_no_time(actions, message):
    env, simulator = make()
    with pytest.raises(ValueError, match=message):
        env.step_chunk(actions)
    assert simulator.targets == []
    assert [env.step_chunk(HOLD)[2] for _ in range(3)] == [False, False, True]


def jump() -> np.ndarray:
    """Returns a chunk whose first target is 0.6 rad away, more than the 0.5 rad that are allowed."""
    actions = HOLD.copy()
    actions[0, 2] += 0.6
    return actions


def test_a_chunk_that_starts_with_a_jump_is_refused_and_costs_no_time():
    env, simulator = make()
    for _ in range(4):  # more than the three chunks of the time limit
        _, reward, done, outcome = env.step_chunk(jump())
        assert (outcome.num_steps, outcome.truncated, reward, done) == (0, False, 0.0, False)
        assert "left elbow" in outcome.fault
    assert simulator.targets == []
    assert [env.step_chunk(HOLD)[2] for _ in range(3)] == [False, False, True]


def test_refusals_in_a_row_come_to_an_end():
    env, simulator = make()
    for _ in range(9):
        env.step_chunk(jump())
    env.step_chunk(HOLD)  # one that is executed begins the count anew
    for _ in range(9):
        env.step_chunk(jump())
    with pytest.raises(ChunksRefused, match="10 chunks in a row .* left elbow"):
        env.step_chunk(jump())
    assert len(simulator.targets) == 16


SLOW = dataclasses.replace(CONFIG, robot=dataclasses.replace(CONFIG.robot, max_velocity=0.05, max_acceleration=10.0))


def test_chunks_that_pass_no_target_come_to_an_end():
    env = SimulatorEnv(FakeSimulator(), SLOW)
    env.reset(seed=0)
    far = HOLD + 0.4 * (np.arange(14) == 0)
    for _ in range(9):
        _, _, done, outcome = env.step_chunk(far)
        assert (outcome.num_steps, outcome.truncated, done) == (0, False, False)
    with pytest.raises(
        ChunksRefused, match="10 chunks in a row passed no target, the last by: the limits of the robot"
    ):
        env.step_chunk(far)


def test_a_step_that_ends_the_task_counts_on_the_way_to_the_first_target():
    env = SimulatorEnv(FakeSimulator(success_at=3), SLOW)
    env.reset(seed=0)
    outcome = env.step_chunk(HOLD + 0.4 * (np.arange(14) == 0))[3]
    assert (outcome.num_steps, outcome.terminated, outcome.success) == (1, True, True)


def test_an_episode_must_be_reset_before_and_after():
    simulator = FakeSimulator(success_at=1)
    env = SimulatorEnv(simulator, CONFIG)
    with pytest.raises(ValueError, match="must follow a reset"):
        env.step_chunk(HOLD)
    env.reset(seed=0)
    env.step_chunk(HOLD)
    with pytest.raises(ValueError, match="must follow a reset"):
        env.step_chunk(HOLD)


def test_the_cameras_and_the_rate_must_be_the_simulators():
    model = dataclasses.replace(CONFIG.model, cameras=("base_0_rgb",))
    with pytest.raises(ValueError, match=r"model\.cameras must be"):
        SimulatorEnv(FakeSimulator(), dataclasses.replace(CONFIG, model=model))
    with pytest.raises(ValueError, match=r"robot\.control_rate must be 50"):
        SimulatorEnv(FakeSimulator(), dataclasses.replace(CONFIG, robot=RobotConfig(control_rate=25.0)))
    with pytest.raises(ValueError, match=r"robot\.control_rate must be 50"):
        make_simulator(dataclasses.replace(CONFIG, robot=RobotConfig(control_rate=25.0)))


@pytest.mark.parametrize(("lag", "starting_point"), [(0.3, "command"), (0.6, "measured")])
def test_speed_is_limited_from_the_last_command_while_the_joints_obey(lag, starting_point):
    simulator = FakeSimulator()
    executor = ChunkExecutor(simulator, RobotConfig())
    executor.reset(seed=0)
    executor.execute(HOLD)
    simulator.lag[0] = lag
    executor.execute(HOLD)
    # From the command the waist may stay at 0. From the measured -0.6 it may only come 0.0628318 rad nearer.
    expected = 0.0 if starting_point == "command" else -0.6 + 0.0628318
    np.testing.assert_allclose(simulator.targets[16][0], expected, atol=1e-6)


def test_episodes_of_the_kinematic_simulator_repeat():
    results = []
    for _ in range(2):
        env = SimulatorEnv(make_simulator(CONFIG), CONFIG)
        first = env.reset(seed=11)
        actions = np.tile(first.state, (16, 1))
        actions[:, 1] += np.linspace(0.02, 0.3, 16)
        results.append((first, *env.step_chunk(actions)))
    (first, after, reward, _, outcome), (first_again, after_again, reward_again, _, outcome_again) = results
    np.testing.assert_array_equal(first.images, first_again.images)
    np.testing.assert_array_equal(after.state, after_again.state)
    assert (reward, outcome) == (reward_again, outcome_again)
    assert np.any(after.images != first.images)
    assert reward == pytest.approx(sum(term.weight * term.value for term in outcome.reward_terms))
