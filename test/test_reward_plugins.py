"""Tests reward terms of another package, which read what the robot did or the simulated scene."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import pytest

from chunk_ppo_ros.agent.env import SimulatorEnv
from chunk_ppo_ros.config import PRESETS, RewardConfig, TrainConfig
from chunk_ppo_ros.core.errors import RegistryError, RewardError
from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.sim.simulator import make_simulator
from support import plugin_package

TERMS = """
import numpy as np

def travel(execution, actions):
    return np.abs(np.diff(actions[: execution.num_steps, 0])).sum()

def broken(execution, actions):
    return 1 / 0

def nothing(before, after):
    return None

def rise(before, after):
    return after.grasp_points[0, 2] - before.grasp_points[0, 2]
"""


@pytest.fixture(autouse=True)
def package(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a package with a term of each kind, and a scene term with the name of one of the task's."""
    plugin_package.install(
        tmp_path,
        monkeypatch,
        name="own-terms",
        modules={"plugin_terms": TERMS},
        entry_points={
            "chunk_ppo_ros.execution_terms": {
                "travel": "plugin_terms:travel",
                "broken": "plugin_terms:broken",
            },
            "chunk_ppo_ros.scene_terms": {
                "rise": "plugin_terms:rise",
                "progress": "plugin_terms:rise",
                "nothing": "plugin_terms:nothing",
            },
        },
    )


def configure(**reward: tuple[str, ...]) -> TrainConfig:
    return dataclasses.replace(PRESETS["debug"], reward=RewardConfig(**reward))


def raise_left_arm(env: SimulatorEnv) -> np.ndarray:
    start = env.reset(seed=3).state.astype(float)
    way = np.zeros(14)
    way[[0, 1]] = 0.04, -0.05  # the waist turns by 0.01 rad a step, the shoulder leans back
    return start + np.linspace(0.2, 1.0, 5)[:, None] * way


def test_terms_of_both_kinds_count_by_their_weights() -> None:
    config = configure(execution_terms=("travel=-2",), scene_terms=("rise=10",))
    simulator = make_simulator(config)
    env = SimulatorEnv(simulator, config)
    actions = raise_left_arm(env)
    low = simulator.scene().grasp_points[0, 2]
    _, reward, _, outcome = env.step_chunk(actions)
    terms = {term.name: term for term in outcome.reward_terms}
    assert [*terms] == ["progress", "success", "rise", "travel"]
    assert terms["travel"] == RewardTerm("travel", pytest.approx(4 * 0.2 * 0.04), -2.0)
    assert terms["rise"].weight == 10.0
    assert terms["rise"].value == pytest.approx(simulator.scene().grasp_points[0, 2] - low)  # the sum over the steps
    plain = SimulatorEnv(make_simulator(configure()), configure())
    plain.reset(seed=3)
    without = plain.step_chunk(actions)[1]
    assert reward == pytest.approx(without - 2 * terms["travel"].value + 10 * terms["rise"].value)


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        (
            "execution_terms",
            r"reward\.execution_terms must be one of broken, travel, got 'travl'; did you mean travel",
        ),
        ("scene_terms", r"reward\.scene_terms must be one of nothing, progress, rise, got 'travl'"),
    ],
)
def test_unknown_terms_are_refused_before_anything_moves(setting: str, text: str) -> None:
    config = configure(**{setting: ("travl=1",)})
    with pytest.raises(RegistryError, match=text):
        SimulatorEnv(make_simulator(config), config)


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        (
            {"execution_terms": ("broken=1",)},
            r"reward\.execution_terms broken must return a number, got ZeroDiv.*, or leave it out",
        ),
        ({"scene_terms": ("nothing=1",)}, r"reward\.scene_terms nothing must return a number, got TypeError"),
    ],
)
def test_a_term_that_fails_is_an_error_of_rewards_that_names_it(setting: dict[str, tuple[str, ...]], text: str) -> None:
    config = configure(**setting)
    env = SimulatorEnv(make_simulator(config), config)
    actions = raise_left_arm(env)
    with pytest.raises(RewardError, match=text):
        env.step_chunk(actions)


def test_a_scene_term_may_not_hide_a_term_of_the_task() -> None:
    config = configure(scene_terms=("progress=1",))
    simulator = make_simulator(config)
    with pytest.raises(RewardError, match="must have names of their own, got progress, which the task reach has"):
        simulator.step(simulator.state())
