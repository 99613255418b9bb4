"""Tests chunks of different lengths over topics and in the script form.

The steps, rewards and transitions are the same.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.parameter import Parameter

from chunk_ppo_ros.agent.env import SimulatorEnv
from chunk_ppo_ros.agent.rollout_worker import RolloutWorker
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.types import ModelObservation, Observation, SampledChunk, Transition
from chunk_ppo_ros.nodes.policy import actor_store, policy_node
from chunk_ppo_ros.nodes.reward import reward_node
from chunk_ppo_ros.nodes.robot import robot_node
from chunk_ppo_ros.nodes.sim import sim_node
from chunk_ppo_ros.robot.chunk_length import choose_num_steps
from chunk_ppo_ros.sim.simulator import make_simulator
from support.accepting_trainer import AcceptingTrainer
from support.fake_actor import FakeCheckpoint
from support.node_harness import node_config, running_graph

pytestmark = pytest.mark.graph

ENTROPIES = (0.0, 2.0, 9.0, 0.5)
ASKED = [16, 10, 4, 16]  # of the entropies, by 16 - 6 (entropy - 1) within 4..16
EXECUTED = [16, 10, 4, 2]  # the time limit is two whole chunks, 32 steps
SECTIONS: dict[str, dict[str, Any]] = {
    "env": {"max_episode_chunks": 2},
    "robot": {"pair_timeout": 20.0, "chunk_deadline": 20.0, "state_timeout": 20.0},  # on a busy machine too
    "ppo": {"discount_per_step": True, "gamma_step": 0.5, "num_chunks_per_update": 4, "batch_size": 2},
    "chunk_length": {"length_rule": "uncertainty", "end_steps": 4, "low_entropy": 1.0, "high_entropy": 3.0},
}


class LeaningActor:
    """Lowers both shoulders step by step, and alternates between entropies.

    The value of an observation is its state's sum.
    """

    def __init__(self, config: TrainConfig, checkpoint: Path, *, policy_version: int) -> None:
        self._config = config

    def warm_up(self) -> None:
        pass

    def observe(self, observation: Observation) -> ModelObservation:
        tokens = np.arange(4, dtype=np.int32)
        return ModelObservation(observation.images, observation.image_mask, tokens, tokens >= 0, observation.state)

    def act(self, observation: ModelObservation, *, sequence_number: int) -> SampledChunk:
        entropy, value = ENTROPIES[sequence_number % 4], self.value(observation)
        actions = np.tile(observation.state, (16, 1))
        actions[:, [1, 8]] += np.linspace(0.01, 0.16, 16, dtype=np.float32)[:, None]
        num_steps = choose_num_steps(
            self._config.chunk_length, horizon=16, policy_version=0, entropy=entropy, value=value
        )
        zeros = np.zeros(3, np.float32)
        tokens, mask = np.zeros(3, np.int32), np.ones(3, bool)
        return SampledChunk(observation, tokens, mask, zeros, value, actions, 0, 1.0, num_steps, entropy)

    def value(self, observation: ModelObservation) -> float:
        return float(np.float32(observation.state.sum()))


def by_graph(config: TrainConfig, folder: Path, capture: pytest.CaptureFixture[str]) -> list[Transition]:
    """Returns the transitions of a first episode from all nodes but trainer_node."""
    with running_graph(config, folder, AcceptingTrainer, capture) as graph:
        makers = (sim_node.SimNode, robot_node.RobotNode, reward_node.RewardNode, policy_node.PolicyNode)
        for make in makers:
            graph.add(make()).set_parameters([Parameter("use_sim_time", value=True)])
        graph.until(graph.peer.is_connected)
        graph.peer.announce(folder / "step_0", num_required=4)
        graph.until(lambda: len(graph.peer.transitions) == len(EXECUTED))
        return graph.peer.transitions


def by_script(config: TrainConfig) -> list[Transition]:
    """Returns the same transitions by `env.step_chunk`."""
    actor = LeaningActor(config, Path(), policy_version=0)
    simulator = make_simulator(config)
    worker = RolloutWorker(actor, SimulatorEnv(simulator, config), config=config, run_id="run")  # type: ignore[arg-type]
    transitions, (episode,) = worker.collect(len(EXECUTED))
    simulator.close()
    assert episode.num_steps == sum(EXECUTED) == config.max_episode_steps
    return transitions


def test_both_forms_execute_what_is_asked_until_the_time_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(actor_store, "Actor", LeaningActor)
    monkeypatch.setattr(actor_store, "Checkpoint", FakeCheckpoint)
    config = node_config(tmp_path, **SECTIONS)
    graph, script = by_graph(config, tmp_path, capfd), by_script(config)
    for transitions in (graph, script):
        assert [entry.chunk.num_steps_asked for entry in transitions] == ASKED
        assert [entry.chunk.entropy for entry in transitions] == list(ENTROPIES)
        assert [entry.outcome.num_steps for entry in transitions] == EXECUTED
        assert [entry.outcome.truncated for entry in transitions] == [False, False, False, True]
        assert [entry.discount for entry in transitions] == [0.5**k for k in EXECUTED]
        durations = [entry.outcome.execution.duration for entry in transitions]
        assert durations == pytest.approx([0.02 * k for k in EXECUTED], abs=1e-6)  # of simulated time
        before, after = (entry.chunk.observation.state for entry in transitions[2:])
        assert after[1] - before[1] == pytest.approx(0.04, abs=2e-3)  # 4 steps of 0.01 rad, which the joints follow
    for one, other in zip(graph, script, strict=True):
        assert one.outcome.reward == pytest.approx(other.outcome.reward, abs=1e-5)
        assert one.next_value == pytest.approx(other.next_value, abs=1e-5)
        executed, alike = one.outcome.execution, other.outcome.execution
        np.testing.assert_allclose(executed.commanded, alike.commanded, atol=1e-5)
        assert (executed.causes.tolist(), executed.status) == (alike.causes.tolist(), alike.status)
        assert executed.run_id == one.id.run_id
    assert dataclasses.asdict(graph[0].id) == dataclasses.asdict(script[0].id)
