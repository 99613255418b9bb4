"""Tests that an error in a task or a reward of the user's is one line with the user's file and line, in every form."""

from __future__ import annotations

import dataclasses
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from chunk_ppo_ros.__main__ import main
from chunk_ppo_ros.agent import train
from chunk_ppo_ros.agent.env import SimulatorEnv
from chunk_ppo_ros.agent.run_start.checkpoint_settings import TrainingSetup
from chunk_ppo_ros.agent.run_start.graph_own_parts import check_own_parts
from chunk_ppo_ros.config import PRESETS, EnvConfig, RewardConfig, TrainConfig
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.own_parts import tracebacks
from chunk_ppo_ros.core.own_parts.tracebacks import SHOWS_TRACEBACKS
from chunk_ppo_ros.core.own_parts.user_code import definition, place, raised
from chunk_ppo_ros.runtime import graph
from chunk_ppo_ros.sim.simulator import make_simulator
from chunk_ppo_ros.sim.tasks.registry import make_task
from chunk_ppo_ros.sim.tasks.task_rules import TaskError

BEFORE = """
import numpy as np
from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.sim.experts.expert import PlannedChunk
from chunk_ppo_ros.sim.interface import StepReward
from chunk_ppo_ros.sim.scene import Capsule, EpisodeLayout, Part, Pose, SceneObject
from chunk_ppo_ros.sim.tasks.task import Task

class Right(Task):
    name, prompt = "right", "do nothing"
    objects = (SceneObject("pole", (Part(Capsule(0.03, 0.05), (20, 200, 20)),)),)
    def sample_layout(self, rng): return EpisodeLayout({"pole": Pose(np.array([0.0, 0.5, 0.2]))})
    def observe(self, scene): return scene
    def step_reward(self, before, after): return StepReward((RewardTerm("near", 0.0),), False, False)

class Mine(Right):
"""
LAST = len(BEFORE.splitlines()) + 1
"""The line of the one method that each case has."""


def expert(result: str) -> str:
    plan = f"type('Expert', (), dict(plan=lambda self, state, scene, random: {result}))"
    return f"def make_expert(self, config): return {plan}()"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """Makes the file of a module whose name is in `sys.path`, and empties it from the imported ones at the end."""
    (tmp_path / "own").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "own")
    monkeypatch.delitem(sys.modules, "mine_part", raising=False)
    monkeypatch.delenv(SHOWS_TRACEBACKS, raising=False)
    return tmp_path / "own" / "mine_part.py"


def places(folder: Path) -> list[str]:
    return ["--run_dir", str(folder / "runs"), "--checkpoint_root", str(folder / "checkpoints"), "--no_wandb"]


def configure(task: str = "mine_part:Mine", simulator: str = "kinematic", **reward: tuple[str, ...]) -> TrainConfig:
    env = EnvConfig(simulator=simulator, task=task, max_episode_chunks=3)
    return dataclasses.replace(PRESETS["debug"], env=env, reward=RewardConfig(**reward))  # type: ignore[arg-type]


ANSWERS = [
    ("def sample_layout(self, rng): return None", "sample_layout must return an EpisodeLayout, got None in {place}"),
    ("def sample_layout(self, rng): return EpisodeLayout({})", "must place exactly pole, got nothing in {place}"),
    (
        "def sample_layout(self, rng): return nothing",
        "sample_layout raised NameError(\"name 'nothing' is not defined\"",
    ),
    (
        "def sample_layout(self, rng): return EpisodeLayout({'pole': Pose(np.array([0.0, np.nan, 0.2]))})",
        "the position of pole must be three finite numbers, m, got [0.  nan 0.2] in {place}",
    ),
    (
        "def sample_layout(self, rng): return EpisodeLayout({'pole': Pose('here')})",
        "the position of pole must be three finite numbers, m, got here in {place}",
    ),
    (
        "def sample_layout(self, rng): return EpisodeLayout({'pole': Pose(np.zeros(3), np.zeros(4))})",
        "the rotation of pole must be a unit quaternion (w, x, y, z), got [0. 0. 0. 0.] in {place}",
    ),
    ("def observe(self, scene): return scene.position('cube')", "observe raised ValueError('the scene must have"),
    ("def step_reward(self, before, after): return 1 / 0", "step_reward raised ZeroDivisionError('division by zero')"),
    ("def step_reward(self, before, after): return 1.0", "step_reward must return a StepReward, got 1.0 in {place}"),
    (
        "def step_reward(self, before, after): return StepReward(0.0, False, False)",
        "terms must be a tuple of RewardTerms, got 0.0 in {place}",
    ),
    (
        "def step_reward(self, before, after): return StepReward((1.0,), False, False)",
        "terms must be RewardTerms, got 1.0 in {place}",
    ),
    (
        "def step_reward(self, before, after): return StepReward((RewardTerm('a', 1.0),) * 2, False, False)",
        "terms must have names of their own, got a, a in {place}",
    ),
    (
        "def step_reward(self, before, after): return StepReward((RewardTerm('a', np.nan),), False, False)",
        "the term a must have a finite value and weight, got nan and 1.0 in {place}",
    ),
    (
        "def step_reward(self, before, after): return StepReward((RewardTerm('a', np.ones(3)),), False, False)",
        "the term a must have a finite value and weight, got [1. 1. 1.] and 1.0 in {place}",
    ),
    (
        "def step_reward(self, before, after): return StepReward((), np.array([True, False]), False)",
        "terminated must be True or False, got array([ True, False]) in {place}",
    ),
    (
        "def step_reward(self, before, after): return StepReward((), 'no', False)",
        "terminated must be True or False, got 'no' in {place}",
    ),
    (
        "def step_reward(self, before, after): return StepReward((), False, None)",
        "success must be True or False, got None in {place}",
    ),
    (
        "def step_reward(self, before, after): return StepReward((RewardTerm('a', '1.5'),), False, False)",
        "the term a must have a finite value and weight, got 1.5 and 1.0 in {place}",
    ),
    (
        "def step_reward(self, before, after): return StepReward((RewardTerm(3, 1.0),), False, False)",
        "the name of a term must be a text that is not empty, got 3 in {place}",
    ),
    ("def step_reward(self, before, after): raise SystemExit(3)", "step_reward raised SystemExit(3)"),
    ("def __init__(self): self.size = 1 / 0", "making the task raised ZeroDivisionError('division by zero') at"),
    ("def __init__(self): self.size = 1 + None", 'making the task raised TypeError("unsupported operand'),
    ("prompt = ' '", "prompt must be a text that is not empty, got ' '"),
    ("name = 7", "name must be a text that is not empty, got 7"),
    ("objects = None", "objects must be a tuple of SceneObjects, got None"),
    ("objects = ('pole',)", "objects must be SceneObjects, got 'pole'"),
    ("objects = Right.objects * 2", "objects must have names of their own, got pole, pole"),
]


@pytest.mark.parametrize(("method", "text"), ANSWERS, ids=[text.partition(",")[0] for _, text in ANSWERS])
def test_a_task_of_the_users_is_blamed_by_its_name_and_line(method: str, text: str, module: Path) -> None:
    module.write_text(f"{BEFORE}    {method}\n")
    with pytest.raises(TaskError) as broken:
        check_own_parts(configure())
    told = str(broken.value)
    assert told.startswith("env.task mine_part:Mine: ")
    assert text.format(place=f"{module}:{LAST}") in told
    assert " raised " not in told or f" at {module}:{LAST}; repair that line" in told
    assert told.endswith(" (`chunk_ppo check-task mine_part:Mine` tries all parts of the task)")
    assert "\n" not in told


@pytest.mark.parametrize(
    ("method", "text"),
    [
        ("def make_expert(self, config): return 7", "make_expert must return an expert with a method plan, got 7 in"),
        ("def make_expert(self, config): return config.nothing", "make_expert raised AttributeError("),
        (expert("None"), "plan must return a PlannedChunk, got None in"),
        (expert("PlannedChunk(np.zeros((2, 14)), np.zeros((2, 14)))"), "with 14 numbers each, got the shape (2, 14)"),
        (
            expert("PlannedChunk(*[np.full((config.model.action_horizon, 14), np.nan)] * 2)"),
            "plan must return finite numbers, got NaN or inf",
        ),
        (expert("state.nothing"), "plan raised AttributeError("),
    ],
    ids=["no expert", "make_expert", "no chunk", "shape", "nan", "plan"],
)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_expert_of_the_users_is_blamed_in_this_process_and_in_workers(
    method: str,
    text: str,
    workers: str,
    module: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if workers == "2" and "plan" not in text:
        pytest.skip("make_expert fails before a worker process is started")
    monkeypatch.setenv("PYTHONPATH", f"{module.parent}:{Path.cwd()}")  # The workers begin anew.
    module.write_text(f"{BEFORE}    {method}\n")
    flags = ["--task", "mine_part:Mine", "--num_demonstrations", "8", "--demonstration_workers", workers]
    assert main(["pretrain", "--config", "debug", *places(tmp_path)[:-1], *flags]) == 2
    told = capfd.readouterr().err.splitlines()[-1]
    assert told.startswith("chunk_ppo pretrain: env.task mine_part:Mine: ") and text in told
    assert f"{module}:{LAST}" in told
    assert not (tmp_path / "checkpoints").exists()


def test_a_task_that_fails_in_the_middle_of_a_training_is_one_line_and_leaves_nothing(
    module: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def train_without_a_policy(setup: TrainingSetup, env: SimulatorEnv) -> None:
        state = env.reset(seed=0).state
        while True:
            _, _, is_done, _ = env.step_chunk(np.stack([state] * 5))
            if is_done:
                env.reset(seed=0)

    monkeypatch.setattr(train, "train", train_without_a_policy)
    lines = (
        "    steps = 0",
        "    def step_reward(self, before, after):",
        "        Mine.steps += 1",
        "        return super().step_reward(before, after) if Mine.steps < 100 else {}['cube']",
    )
    module.write_text(BEFORE + "\n".join(lines) + "\n")
    flags = ["--config", "debug", "--exp_name", "one", *places(tmp_path)]
    assert main(["train", *flags, "--task", "mine_part:Mine"]) == 2
    *_, told = capsys.readouterr().err.splitlines()
    assert told.startswith("chunk_ppo train: env.task mine_part:Mine: step_reward raised KeyError('cube') at ")
    assert f"{module}:{LAST + 3}; repair that line" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own"]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("def term(*_): return float('nan')", "must return a finite number, got nan in {file}:1; repair it"),
        ("def term(*_): return [1, 2]", "must return a number, got TypeError("),
        ("def term(*_): return 1 / 0", "must return a number, got ZeroDivisionError('division by zero') at {file}:1"),
        ("def term(*_): raise SystemExit(0)", "must return a number, got SystemExit(0) at {file}:1"),
        ("raise SystemExit(0)", "must be importable, got SystemExit(0) at {file}:1 from the module"),
        ("def term(: return 1", "must be importable, got SyntaxError('invalid syntax') at {file}:1 from the module"),
        ("def other(*_): return 1", "must name a part that is there, got no term in {file} from the module"),
    ],
    ids=["nan", "wrong type", "raises", "ends", "ends the import", "syntax", "missing"],
)
@pytest.mark.parametrize("kind", ["scene_terms", "execution_terms"])
@pytest.mark.parametrize("command", ["train", "graph"])
def test_a_reward_term_of_the_users_is_blamed_by_its_name_and_line(
    command: str,
    kind: str,
    source: str,
    text: str,
    module: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(graph, "Supervisor", pytest.fail)
    module.write_text(f"{source}\n")
    flags = ["--config", "debug", "--exp_name", "one", *places(tmp_path), f"--{kind}", "mine_part:term=1"]
    assert main([command, *flags]) == 2
    *_, told = capsys.readouterr().err.splitlines()
    assert told.startswith(f"chunk_ppo {command}: reward.{kind} ") and "term" in told
    assert text.format(file=module) in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own"]


def test_a_graph_tries_a_task_of_the_users_before_it_makes_a_folder(
    module: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "Supervisor", pytest.fail)
    module.write_text(f"{BEFORE}    def observe(self, scene): return 1 / 0\n")
    flags = ["--simulator", "kinematic", "--exp_name", "one", *places(tmp_path), "--task", "mine_part:Mine"]
    assert main(["graph", *flags]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("chunk_ppo graph: env.task mine_part:Mine: observe raised ZeroDivisionError(")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own"]


def test_objects_that_no_simulator_can_build_are_blamed_on_the_task(module: Path) -> None:
    """No body has a moment of inertia that is larger than the sum of the two others."""
    given = "Motion.FREE, mass=0.1, inertia=(1.0, 0.001, 0.001)"
    shape = f"objects = (SceneObject('pole', Right.objects[0].parts, {given}),)"
    module.write_text(f"{BEFORE}    from chunk_ppo_ros.sim.scene import Motion\n    {shape}\n")
    with pytest.raises(TaskError, match="building the scene of its objects in the simulator mujoco raised ValueError"):
        make_simulator(configure(simulator="mujoco"), render=False)


def test_the_traceback_is_shown_where_it_is_asked_for(
    module: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHOWS_TRACEBACKS, "")  # It is set below, and unset at the end of the test.
    module.write_text(f"{BEFORE}    def observe(self, scene): return 1 / 0\n")
    flags = ["--config", "debug", *places(tmp_path), "--task", "mine_part:Mine"]
    assert main(["train", *flags]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert main([tracebacks.FLAG, "train", *flags]) == 2
    told = capsys.readouterr().err
    assert told.startswith("Traceback (most recent call last):")
    assert "ZeroDivisionError: division by zero" in told
    assert told.splitlines()[-1].startswith("chunk_ppo train: env.task mine_part:Mine: observe raised")


def test_a_right_task_passes_and_answers_as_it_is(module: Path) -> None:
    module.write_text(f"{BEFORE}    pass\n")
    config = configure()
    check_own_parts(config)
    task = make_task(config.env)
    assert (task.name, task.prompt, [each.name for each in task.objects]) == ("right", "do nothing", ["pole"])
    np.testing.assert_array_equal(task.sample_layout(np.random.default_rng(0)).poses["pole"].position, [0.0, 0.5, 0.2])
    assert task.make_expert(config) is None


def test_an_error_of_a_task_goes_through_a_worker_process_whole() -> None:
    error = TaskError("plan must return a chunk, got None", "return one", "my_task:Mine")
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, UserError) and str(again) == str(error)
    assert (again.found, again.advice, again.task) == (error.found, error.advice, error.task)


def test_the_line_of_an_error_is_the_innermost_one_of_the_users() -> None:
    with pytest.raises(np.linalg.LinAlgError) as broken:
        np.linalg.inv(np.zeros((2, 2)))
    assert place(broken.value).startswith(f" at {__file__}:")
    assert raised(broken.value).startswith("LinAlgError('Singular matrix') at ")
    assert definition(test_the_line_of_an_error_is_the_innermost_one_of_the_users).startswith(f" in {__file__}:")
    assert definition(len) == definition(main) == definition(None) == ""
