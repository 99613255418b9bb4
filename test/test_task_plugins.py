"""Tests a task of another package, which only `env.task` names.

It runs in both simulators, with settings and without an expert.
"""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import pytest

from chunk_ppo_ros.agent.run_start.tokenizer_fitting import fit_tokenizer
from chunk_ppo_ros.config import PRESETS, EnvConfig, PretrainConfig, TrainConfig
from chunk_ppo_ros.core.errors import RegistryError, SettingError
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim import rendering
from chunk_ppo_ros.sim.experts import demonstrations
from chunk_ppo_ros.sim.experts.demonstrations import collect_demonstrations
from chunk_ppo_ros.sim.experts.random_motion import draw_motions
from chunk_ppo_ros.sim.simulator import make_simulator
from chunk_ppo_ros.sim.tasks.registry import TASKS, make_task
from support import plugin_package

REASON = rendering.rendering_available()
needs_rendering = pytest.mark.skipif(REASON is not None, reason=str(REASON))

POINT = """
import dataclasses
import numpy as np
from chunk_ppo_ros.config import setting
from chunk_ppo_ros.config.schema import Checked
from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.sim.interface import StepReward
from chunk_ppo_ros.sim.scene import Capsule, EpisodeLayout, Part, Pose, SceneObject
from chunk_ppo_ros.sim.tasks.settings import read_settings
from chunk_ppo_ros.sim.tasks.task import Task

@dataclasses.dataclass(frozen=True)
class Settings(Checked):
    height: float = setting(0.2, "of the pole, m", minimum=0.0, maximum=0.5)
    left: bool = setting(True, "whether the left arm goes there")

class PointTask(Task):
    name, prompt = "point", "point at the pole"
    objects = (SceneObject("pole", (Part(Capsule(0.03, 0.05), (20, 200, 20)),)),)

    def __init__(self, settings):
        self.settings = settings

    def sample_layout(self, rng):
        return EpisodeLayout({"pole": Pose(np.array([rng.uniform(-0.1, 0.1), 0.5, self.settings.height]))})

    def observe(self, scene):
        return float(np.linalg.norm(scene.grasp_points[0 if self.settings.left else 1] - scene.position("pole")))

    def step_reward(self, before, after):
        return StepReward((RewardTerm("nearer", before - after),), terminated=after < 0.01, success=after < 0.01)

def make(env):
    return PointTask(read_settings(env, Settings))
"""
STACK = """
import numpy as np
from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.sim.interface import StepReward
from chunk_ppo_ros.sim.scene import TABLE, Box, Cylinder, EpisodeLayout, Motion, Part, Pose, SceneObject
from chunk_ppo_ros.sim.tasks.task import Task

class StackTask(Task):
    name, prompt = "stack", "put the ring on the base"
    objects = (
        SceneObject("base", (Part(Box((0.05, 0.05, 0.01)), (90, 90, 250)),), motion=Motion.FIXED),
        SceneObject(
            "ring",
            (Part(Cylinder(0.02, 0.01), (250, 90, 90)), Part(Box((0.01, 0.01, 0.01)), (0, 0, 0), (0.0, 0.0, 0.02))),
            motion=Motion.FREE,
            mass=0.04,
        ),
    )

    def sample_layout(self, rng):
        place = np.array([0.0, 0.6, 0.01])
        return EpisodeLayout({"base": Pose(place), "ring": Pose(place + [0.0, 0.0, 0.05])})

    def observe(self, scene):
        return scene.touched("ring")

    def step_reward(self, before, after):
        done = "base" in after
        return StepReward((RewardTerm("stacked", float(done)),), terminated=done, success=done)

def make(env):
    return StackTask()
"""


@pytest.fixture(autouse=True)
def package(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a package with two tasks and one that is no task."""
    names = {"point": "plugin_point:make", "stack": "plugin_stack:make", "wrong": "builtins:vars"}
    plugin_package.install(
        tmp_path,
        monkeypatch,
        name="own-tasks",
        modules={"plugin_point": POINT, "plugin_stack": STACK},
        entry_points={"chunk_ppo_ros.tasks": names},
    )


def configure(task: str, simulator: str = "kinematic", *settings: str) -> TrainConfig:
    env = EnvConfig(simulator=simulator, task=task, task_settings=settings, max_episode_chunks=3)
    return dataclasses.replace(PRESETS["debug"], env=env, pretrain=PretrainConfig(num_demonstrations=20))


def test_tasks_of_another_package_are_listed() -> None:
    assert TASKS.names() == ("reach", "transfer_cube", "point", "stack", "wrong")


def test_a_task_of_another_package_is_simulated_and_drawn() -> None:
    simulator = make_simulator(configure("point"))
    assert simulator.prompt == "point at the pole"
    image = simulator.render()[0].astype(int)
    assert np.sum((image[..., 1] > 2 * image[..., 0]) & (image[..., 1] > 2 * image[..., 2])) > 10  # the green pole
    before = simulator.scene()
    reward = simulator.step(simulator.state() + 0.05)
    way = [np.linalg.norm(scene.grasp_points[0] - scene.position("pole")) for scene in (before, simulator.scene())]
    assert reward.terms[0].value == pytest.approx(way[0] - way[1])


def test_a_task_reads_the_settings_that_it_declares() -> None:
    simulator = make_simulator(configure("point", "kinematic", "height=0.4", "left=false"))
    assert simulator.scene().position("pole")[2] == 0.4
    moved = simulator.state() + np.where(np.arange(14) < 7, 0.05, 0.0)
    assert simulator.step(moved).terms[0].value == pytest.approx(0.0, abs=1e-6)  # the left arm does not count


@pytest.mark.parametrize(
    ("task", "entry", "text"),
    [
        ("point", "width=1", "each name once and one of height, left, got 'width=1'"),
        ("point", "height", "must be entries name=value for the task point"),
        ("point", "height=high", "a value of type float, got 'height=high'"),
        ("point", "left=0", "a value of type bool, got 'left=0'"),
        ("point", "height=0.7", r"height must be within 0\.0\.\.0\.5, got 0\.7"),
        ("reach", "height=0.2", "one of none, got 'height=0.2'"),
        ("transfer_cube", "cube_spread=2", r"cube_spread must be within 0\.0\.\.1\.0, got 2\.0"),
    ],
)
def test_settings_that_a_task_does_not_have_are_refused(task: str, entry: str, text: str) -> None:
    with pytest.raises(SettingError, match=text):
        make_task(configure(task, "kinematic", entry).env)


def test_an_unknown_task_lists_those_of_all_packages() -> None:
    with pytest.raises(RegistryError, match=r"env\.task must be one of reach, transfer_cube, point, .*mean point\?"):
        make_task(EnvConfig(task="pont"))


def test_what_makes_no_task_is_refused() -> None:
    with pytest.raises(RegistryError, match="'wrong' must make a Task, got .* without name, prompt, objects"):
        make_task(EnvConfig(task="wrong"))


def test_objects_with_contacts_need_a_simulator_with_contacts() -> None:
    with pytest.raises(SettingError, match=r"got 'stack' with base; set env\.simulator to mujoco"):
        make_simulator(configure("stack"))


@needs_rendering
def test_objects_of_several_parts_fall_and_touch() -> None:
    simulator = make_simulator(configure("stack", "mujoco"))
    assert not simulator.scene().touched("ring")
    rewards = [simulator.step(aloha.START_POSE) for _ in range(20)]  # it falls 0.03 m: 4 steps
    assert rewards[-1].success
    assert not rewards[0].success
    assert simulator.scene().touched("ring") == {"base"}
    assert simulator.scene().touched("base") >= {"ring"}
    # The base reaches up to 0.02 m, and the ring is 0.01 m more to its middle.
    assert simulator.scene().position("ring")[2] == pytest.approx(0.03, abs=2e-3)
    image = simulator.render()[0].astype(int)
    simulator.close()
    assert np.sum(image[..., 2] > image[..., 0] + 40) > 4  # the blue base


def test_a_task_without_an_expert_fits_tokenizers_to_random_motions(capsys: pytest.CaptureFixture[str]) -> None:
    config = configure("point")
    tokenizer = fit_tokenizer(config)
    printed = capsys.readouterr().out
    assert "the task point has no scripted expert" in printed
    assert "60 chunks of random smooth motions" in printed  # 20 episodes of 3
    motions = draw_motions(config, prompts=("p",))
    np.testing.assert_array_less(np.abs(np.diff(motions.actions, axis=1))[..., aloha.ARM_INDICES], 2.5 / 50 + 1e-5)
    assert np.all((motions.actions >= aloha.LOWER_LIMITS - 1e-5) & (motions.actions <= aloha.UPPER_LIMITS + 1e-5))
    assert tokenizer.norm_stats.state.dim == 14


def test_random_motions_go_on_from_where_they_are_and_begin_each_episode_at_the_start_pose() -> None:
    motions = draw_motions(configure("point"), prompts=("p",))
    starts = motions.state.reshape(20, 3, 14)
    np.testing.assert_array_equal(starts[:, 0], np.tile(aloha.START_POSE.astype(np.float32), (20, 1)))
    ends = motions.actions.reshape(20, 3, 16, 14)[:, :-1, -1]
    np.testing.assert_array_equal(starts[:, 1:], ends)


def test_a_task_without_an_expert_is_refused_before_a_worker_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demonstrations, "worker_pool", None)
    with pytest.raises(SettingError, match="must have a scripted expert to be demonstrated, got 'point'"):
        collect_demonstrations(configure("point"))
