"""Tests the checker of tasks with tasks that are wrong in one way each."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from chunk_ppo_ros.__main__ import main
from chunk_ppo_ros.config import PRESETS, EnvConfig, TrainConfig
from chunk_ppo_ros.core.errors import RegistryError
from chunk_ppo_ros.core.findings.finding import Finding, Level
from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.sim.check_task.command import check
from chunk_ppo_ros.sim.interface import StepReward
from chunk_ppo_ros.sim.scene import Box, EpisodeLayout, Motion, Part, Pose, SceneObject, SceneState, Sphere
from chunk_ppo_ros.sim.tasks.task import Task


class Right(Task[SceneState]):
    """A task as it should be: the left gripper comes near to a ball."""

    name, prompt = "right", "go to the ball"
    objects: tuple[SceneObject, ...] = (SceneObject("ball", (Part(Sphere(0.05), (250, 30, 30)),)),)

    def sample_layout(self, rng: np.random.Generator) -> EpisodeLayout:
        return EpisodeLayout({"ball": Pose(rng.uniform([-0.2, 0.4, 0.1], [-0.1, 0.45, 0.15]))})

    def observe(self, scene: SceneState) -> SceneState:
        return scene

    def step_reward(self, before: SceneState, after: SceneState) -> StepReward:
        near = self._distance(after) < 0.05
        return StepReward((RewardTerm("nearer", self._distance(before) - self._distance(after)),), near, near)

    def _distance(self, scene: SceneState) -> float:
        return float(np.linalg.norm(scene.grasp_points[0] - scene.position("ball")))


class NoPrompt(Right):
    prompt = ""


class TwoOfOneName(Right):
    objects = Right.objects * 2


class Forgets(Right):
    def sample_layout(self, rng: np.random.Generator) -> EpisodeLayout:
        return EpisodeLayout({})


class Unseeded(Right):
    def sample_layout(self, rng: np.random.Generator) -> EpisodeLayout:
        return super().sample_layout(np.random.default_rng())


class Fixed(Right):
    def sample_layout(self, rng: np.random.Generator) -> EpisodeLayout:
        return EpisodeLayout({"ball": Pose(np.array([-0.15, 0.4, 0.1]))})


class Below(Right):
    def sample_layout(self, rng: np.random.Generator) -> EpisodeLayout:
        return EpisodeLayout({"ball": Pose(rng.uniform([-0.2, 0.4, -0.2], [-0.1, 0.5, -0.1]))})


class Far(Right):
    def sample_layout(self, rng: np.random.Generator) -> EpisodeLayout:
        return EpisodeLayout({"ball": Pose(rng.uniform([-0.2, 2.4, 0.1], [-0.1, 2.5, 0.2]))})


class NotFinite(Right):
    def sample_layout(self, rng: np.random.Generator) -> EpisodeLayout:
        return EpisodeLayout({"ball": Pose(np.array([np.nan, 0.4, 0.1]))})


class Raises(Right):
    def step_reward(self, before: SceneState, after: SceneState) -> StepReward:
        raise KeyError("cube")


class Remembers(Right):
    calls = 0

    def step_reward(self, before: SceneState, after: SceneState) -> StepReward:
        self.calls += 1
        return StepReward((RewardTerm("calls", float(self.calls)),), False, False)


class ForgetsTerms(Right):
    def step_reward(self, before: SceneState, after: SceneState) -> StepReward:
        moved = bool(np.any(before.grasp_points != after.grasp_points))
        return StepReward((RewardTerm("moved", 1.0),) if moved else (), False, False)


class Infinite(Right):
    def step_reward(self, before: SceneState, after: SceneState) -> StepReward:
        return StepReward((RewardTerm("far", float("inf")),), False, False)


class Large(Right):
    def step_reward(self, before: SceneState, after: SceneState) -> StepReward:
        moved = float(np.abs(before.grasp_points - after.grasp_points).sum())
        return StepReward((RewardTerm("moved", 1e4 * moved),), False, False)


class PaysForRest(Right):
    def step_reward(self, before: SceneState, after: SceneState) -> StepReward:
        return StepReward((RewardTerm("near", float(np.exp(-self._distance(after)))),), False, False)


class SolvedAtStart(Right):
    def step_reward(self, before: SceneState, after: SceneState) -> StepReward:
        return StepReward((RewardTerm("success", 1.0),), True, True)


class Invisible(Right):
    objects = (SceneObject("ball", (Part(Sphere(0.001), (250, 30, 30)),)),)


class NeedsContacts(Right):
    objects = (SceneObject("ball", (Part(Box((0.02,) * 3), (250, 30, 30)),), motion=Motion.FIXED),)


class NeedsArguments(Right):
    def __init__(self, *, size: float) -> None:
        self.size = size


def configure(cls: type[Right], simulator: str = "kinematic") -> TrainConfig:
    env = EnvConfig(simulator=simulator, task=f"test_check_task:{cls.__name__}", max_episode_chunks=3)
    return dataclasses.replace(PRESETS["debug"], env=env)


def problems(cls: type[Right], **settings: str) -> list[Finding]:
    found = check(configure(cls, **settings), episodes=4)
    return [one for group in found.values() for one in group if one.level in (Level.WARN, Level.ERROR)]


def test_a_task_as_it_should_be_has_no_findings() -> None:
    assert problems(Right) == []


@pytest.mark.parametrize(
    ("cls", "level", "name", "text"),
    [
        (NoPrompt, Level.ERROR, "prompt", "must be a text that is not empty, got ''"),
        (TwoOfOneName, Level.ERROR, "objects", "must have names of their own, got ball, ball"),
        (Forgets, Level.ERROR, "task", "must place exactly ball, got nothing"),
        (Unseeded, Level.ERROR, "same seed", "two layouts of the same seed differ"),
        (Fixed, Level.WARN, "different seeds", "50 layouts are equal"),
        (Below, Level.ERROR, "place of ball", "lies below the table"),
        (Far, Level.WARN, "place of ball", "50 of 50 layouts are out of reach"),
        (NotFinite, Level.ERROR, "task", "the position of ball must be three finite numbers"),
        (Raises, Level.ERROR, "rewards", "raised KeyError('cube') at"),
        (Remembers, Level.ERROR, "rewards", "about the same two scenes"),
        (ForgetsTerms, Level.ERROR, "rewards", "each step must have the same terms"),
        (Infinite, Level.ERROR, "rewards", "the term far must have a finite value and weight, got inf and 1.0"),
        (Large, Level.ERROR, "size", "and reward.max_chunk_reward is 20"),
        (PaysForRest, Level.WARN, "standing still", "a second of it earned up to"),
        (SolvedAtStart, Level.ERROR, "start", "4 of 4 episodes are solved before anything moves"),
        (Invisible, Level.WARN, "ball", "no camera shows it in 10 of 10 layouts"),
        (NeedsContacts, Level.ERROR, "kinematic", "which has no contacts"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_what_is_wrong_is_found(cls: type[Right], level: Level, name: str, text: str) -> None:
    matching = [one for one in problems(cls) if one.name == name]
    assert [one.level for one in matching] == [level]
    assert text in matching[0].found
    assert matching[0].advice


def test_terms_that_come_and_go_are_named() -> None:
    (finding,) = problems(ForgetsTerms)
    assert "return every term in every step" in finding.advice


def test_a_class_that_wants_arguments_is_refused() -> None:
    with pytest.raises(RegistryError, match="must be made from an EnvConfig or from nothing, got .*'size'"):
        check(configure(NeedsArguments))


def test_a_registered_task_is_checked_by_the_command(
    capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    flags = ["--simulator", "kinematic", "--episodes", "2", "--json", "--max_episode_chunks", "8"]
    assert main(["check-task", "reach", *flags]) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert {finding["group"] for finding in findings} == {"task", "simulators", "rewards", "cameras", "expert"}
    assert main(["check-task", "test_check_task:SolvedAtStart", *flags]) == 1
    capsys.readouterr()
    assert main(["check-task", "raech", *flags]) == 2
    assert "did you mean reach?" in capsys.readouterr().err
    assert main(["check-task", "reach", "--simulator", "kinematic", "--picture", str(tmp_path / "no" / "x.png")]) == 2
    assert "--picture must be a PNG file that can be written" in capsys.readouterr().err
