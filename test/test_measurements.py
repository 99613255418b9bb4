"""Tests measurements of another package, in the script form and on the robot, and reward terms that read them."""

from __future__ import annotations

import dataclasses
import math
import pathlib

import numpy as np
import pytest

from chunk_ppo_ros.agent.env import SimulatorEnv
from chunk_ppo_ros.config import PRESETS, RewardConfig, RobotConfig
from chunk_ppo_ros.core.errors import RegistryError, RewardError
from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.nodes.wire import conversions
from chunk_ppo_ros.rewards.terms import chunk_terms
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.trust_rule import TrustRule
from chunk_ppo_ros.robot.measurements import ExecutedStep
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer
from chunk_ppo_ros.sim.simulator import make_simulator
from support import plugin_package
from support.player_inputs import DT, HOME, REACH, observe, only, ramp, send
from support.robot_rig import running_graph

MEASUREMENTS = """
import math

def shortfall(steps):
    "Sum over the steps of what the limits took from the left waist's target, rad."
    return sum(abs(step.target[0] - step.commanded[0]) for step in steps)

def trail(steps):
    "Sum over the steps, each weighted by its number 1, 2 ..., of the left waist's angle after it, rad."
    return sum((number + 1) * step.measured[0] for number, step in enumerate(steps))

def push(steps):
    "Largest mean |effort| of a step, driver's unit."
    return math.nan if any(step.effort is None for step in steps) else max(step.effort for step in steps)
"""
TERMS = """
def held_back(execution, actions):
    return execution.measurements["shortfall"]

def pushed(execution, actions):
    return execution.measurement("push")
"""
BROKEN = """
def broken(steps):
    return 1 / 0
"""
SHORTFALL = (0.1 - REACH) * (1 + 2 + 3)
"""The shortfall of three steps of 0.1 rad each, in which the limit allows REACH each, rad."""

SIMULATED = TrustRule.of(RobotConfig(), simulated=True)


@pytest.fixture
def package(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a package with three measurements, and with a term for each of two of them."""
    plugin_package.install(
        tmp_path,
        monkeypatch,
        name="own-measurements",
        modules={"plugin_measurements": MEASUREMENTS, "plugin_measured_terms": TERMS},
        entry_points={
            "chunk_ppo_ros.measurements": {
                name: f"plugin_measurements:{name}" for name in ("shortfall", "trail", "push")
            },
            "chunk_ppo_ros.execution_terms": {
                name: f"plugin_measured_terms:{name}" for name in ("held_back", "pushed")
            },
        },
    )


def test_a_measurement_that_raises_is_not_known_and_the_robot_goes_on(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    entries = {"chunk_ppo_ros.measurements": {"broken": "plugin_broken:broken"}}
    plugin_package.install(
        tmp_path, monkeypatch, name="broken", modules={"plugin_broken": BROKEN}, entry_points=entries
    )
    execution = play(make_player())
    assert (execution.status, execution.num_steps) == (Status.EXECUTED, 3)
    assert math.isnan(execution.measurements["broken"])
    assert "the measurement broken must return a number, got " in caplog.text
    assert "Traceback" in caplog.text  # of the package that has it


def make_player() -> ChunkPlayer:
    return ChunkPlayer(RobotConfig(), state_timeout=0.5, states_on_demand=False, trust=SIMULATED)


def play(player: ChunkPlayer) -> ExecutionResult:
    """Plays three steps of 0.1 rad each.

    After them the waist stands at 0.01, 0.02 and 0.03 rad, with efforts 5, 6 and 7.
    """
    observe(player, 1.0)
    send(player, ramp(3, 0.1), now=1.0)
    for step in range(4):
        now = 1.0 + step * DT
        player.tick(now)
        state = ramp(1, 0.01 * (step + 1))[0]
        for side in aloha.SIDES:
            stamp, half = round(now * 1e9) + 1, state[aloha.side_slice(side)]
            player.observe(side, half, stamp=stamp, now=now, effort=5.0 + step)
    return only(player.take_results())


@pytest.mark.usefixtures("package")
def test_the_player_measures_each_step_with_what_came_after_it() -> None:
    measurements = play(make_player()).measurements
    assert set(measurements) == {"shortfall", "trail", "push"}
    assert measurements["shortfall"] == pytest.approx(SHORTFALL)
    assert measurements["trail"] == pytest.approx(3 * HOME[0] * 2 + 1 * 0.01 + 2 * 0.02 + 3 * 0.03)
    assert measurements["push"] == 7.0


@pytest.mark.usefixtures("package")
def test_a_chunk_without_an_executed_step_has_no_measurements() -> None:
    player = make_player()
    observe(player, 1.0)
    send(player, ramp(3, 0.01), now=1.0)
    player.stop(Status.CANCELLED, "enough")
    result = only(player.take_results())
    assert (result.num_steps, result.measurements) == (0, Metrics())


def test_a_measurement_cannot_change_what_the_robot_goes_on_to_use() -> None:
    commanded = HOME.copy()
    step = ExecutedStep(HOME, commanded, HOME, None)
    for array in (step.target, step.commanded, step.measured):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    commanded[0] = 1.0  # the owner's array stays writable


def test_nothing_is_measured_where_nothing_is_registered() -> None:
    assert play(make_player()).measurements == Metrics()
    assert not conversions.execution_to_message(play(make_player())).measurements


@pytest.mark.usefixtures("package")
def test_a_term_of_the_script_form_reads_a_measurement() -> None:
    config = dataclasses.replace(PRESETS["debug"], reward=RewardConfig(execution_terms=("held_back=-2",)))
    env = SimulatorEnv(make_simulator(config), config)
    actions = np.tile(env.reset(seed=3).state.astype(float), (3, 1))
    start = actions[0, 0]
    actions[:, 0] += [0.1, 0.2, 0.3]
    _, _, _, outcome = env.step_chunk(actions)
    assert outcome.reward_terms[-1] == RewardTerm("held_back", pytest.approx(SHORTFALL, abs=1e-6), -2.0)
    measurements = outcome.execution.measurements
    commanded = outcome.execution.commanded[:, 0]
    np.testing.assert_allclose(commanded, start + REACH * np.arange(1, 4), atol=1e-6)
    # The kinematic arms obey at once, and know no efforts.
    assert measurements["trail"] == pytest.approx(float(commanded @ [1, 2, 3]), abs=1e-5)
    assert math.isnan(measurements["push"])


@pytest.mark.graph
@pytest.mark.usefixtures("package")
def test_a_term_reads_a_measurement_from_the_result_of_robot_node() -> None:
    with running_graph(env__simulator="kinematic") as graph:
        graph.rig.send(ramp(3, 0.1))
        execution = conversions.execution_from_message(graph.result())
    config = RewardConfig(execution_terms=("held_back=-2",))
    (term,) = chunk_terms([], execution, ramp(3, 0.1), config)
    assert term == RewardTerm("held_back", pytest.approx(SHORTFALL), -2.0)


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("measurements", [{}, {"push": math.nan}])
def test_a_term_whose_measurement_is_not_known_says_so(measurements: dict[str, float]) -> None:
    execution = dataclasses.replace(ExecutionResult.whole(3), measurements=Metrics({"lag": 1.0, **measurements}))
    with pytest.raises(RewardError, match="the measurement 'push' must be known for each chunk, got lag; install"):
        chunk_terms([], execution, ramp(3, 0.1), RewardConfig(execution_terms=("pushed=1",)))


@pytest.mark.usefixtures("package")
def test_a_name_of_two_packages_is_refused_before_anything_moves(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "second"
    folder.mkdir()
    entry_points = {"chunk_ppo_ros.measurements": {"push": "plugin_measurements:push"}}
    plugin_package.install(folder, monkeypatch, name="second", modules={}, entry_points=entry_points)
    with pytest.raises(RegistryError, match="the measurement 'push' must belong to one package"):
        make_player()
    config = PRESETS["debug"]
    with pytest.raises(RegistryError, match="the measurement 'push' must belong to one package"):
        SimulatorEnv(make_simulator(config), config)
