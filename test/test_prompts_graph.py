"""Tests that the graph and the script form give the same episodes the same prompts, and record them alike."""

from __future__ import annotations

from pathlib import Path

import pytest
from rclpy.parameter import Parameter

from chunk_ppo_ros.agent.env import SimulatorEnv
from chunk_ppo_ros.agent.rollout_worker import RolloutWorker
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.nodes.policy import actor_store, policy_node
from chunk_ppo_ros.nodes.reward import reward_node
from chunk_ppo_ros.nodes.robot import robot_node
from chunk_ppo_ros.nodes.sim import sim_node
from chunk_ppo_ros.sim.simulator import make_simulator
from support.accepting_trainer import AcceptingTrainer
from support.fake_actor import FakeActor, FakeCheckpoint
from support.node_harness import node_config, running_graph

pytestmark = pytest.mark.graph

NUM_EPISODES = 5
PROMPTS = ("reach both balls", "2=reach the left ball")
BALANCED = ["reach the left ball", "reach both balls", "reach the left ball"]


def by_graph(config: TrainConfig, folder: Path, capture: pytest.CaptureFixture[str]) -> list[Transition]:
    """Returns the transitions of the first episodes from all nodes but trainer_node."""
    with running_graph(config, folder, AcceptingTrainer, capture) as graph:
        for make in (sim_node.SimNode, robot_node.RobotNode, reward_node.RewardNode, policy_node.PolicyNode):
            graph.add(make()).set_parameters([Parameter("use_sim_time", value=True)])
        graph.until(graph.peer.is_connected)
        graph.peer.announce(folder / "step_0", num_required=NUM_EPISODES)
        graph.until(lambda: len(graph.peer.transitions) == NUM_EPISODES, timeout=60.0)
        return graph.peer.transitions


def by_script(config: TrainConfig, folder: Path) -> list[Transition]:
    """Returns the same transitions by `env.step_chunk`."""
    actor, simulator = FakeActor(config, folder, policy_version=0), make_simulator(config)
    worker = RolloutWorker(actor, SimulatorEnv(simulator, config), config=config, run_id="run")  # type: ignore[arg-type]
    transitions, _ = worker.collect(NUM_EPISODES)
    simulator.close()
    return transitions


@pytest.mark.parametrize("sampling", ["balanced", "random"])
def test_both_forms_give_the_same_prompts(
    sampling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each episode has one chunk, and ends by its time limit, so that each chunk has a next observation."""
    monkeypatch.setattr(actor_store, "Actor", FakeActor)
    monkeypatch.setattr(actor_store, "Checkpoint", FakeCheckpoint)
    FakeActor.invalid, FakeActor.num_steps_asked = (), 16
    sections = {
        "env": {"max_episode_chunks": 1},
        "episode": {"prompts": PROMPTS, "prompt_sampling": sampling},
        "robot": {"pair_timeout": 20.0, "chunk_deadline": 20.0, "state_timeout": 20.0},  # on a busy machine too
    }
    config = node_config(tmp_path, **sections)
    graph, script = by_graph(config, tmp_path, capfd), by_script(config, tmp_path)
    prompts = [one.chunk.source.prompt for one in graph]
    assert prompts[:3] == BALANCED or sampling == "random"
    assert set(prompts) == {"reach both balls", "reach the left ball"}
    for one, other in zip(graph, script, strict=True):
        assert one.id.episode == other.id.episode
        assert one.chunk.source.prompt == one.next_source.prompt
        assert other.chunk.source.prompt == other.next_source.prompt == one.chunk.source.prompt
        for transition in (one, other):
            assert transition.next_observation is not None
            for observation in (transition.chunk.observation, transition.next_observation):
                assert observation.prompt_tokens[0] == len(one.chunk.source.prompt)
