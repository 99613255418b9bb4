"""Checks what the cameras show of a task's objects, and what its scripted expert can do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chunk_ppo_ros.config import SIMULATORS, TrainConfig
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.findings.finding import Finding, error, ok, skipped, warn
from chunk_ppo_ros.sim.experts.demonstrations import record_episode
from chunk_ppo_ros.sim.interface import StepReward
from chunk_ppo_ros.sim.scene import EpisodeLayout, Pose, SceneState
from chunk_ppo_ros.sim.simulator import build, make_simulator
from chunk_ppo_ros.sim.tasks.task import Task
from chunk_ppo_ros.sim.tasks.task_rules import TaskError

NUM_VIEWS = 10
AWAY = np.array([0.0, 0.0, -50.0])
"""A place that no camera sees, m."""
FEW_PIXELS = 4
SKILL = 0.5
"""The share of solved episodes below which a scripted expert is said to be a poor one."""


class WithoutObject(Task[SceneState]):
    """The same task, with one object out of sight. Its rewards are never asked for."""

    def __init__(self, task: Task[Any], hidden: str) -> None:
        """Hides the object `hidden` of `task`."""
        self.name, self.prompt, self.objects = task.name, task.prompt, task.objects
        self._task, self._hidden = task, hidden

    def sample_layout(self, rng: np.random.Generator) -> EpisodeLayout:
        """Returns the layout of the task, with the object far below the table."""
        return EpisodeLayout({**self._task.sample_layout(rng).poses, self._hidden: Pose(AWAY)})

    def observe(self, scene: SceneState) -> SceneState:
        """Returns the scene."""
        return scene

    def step_reward(self, before: SceneState, after: SceneState) -> StepReward:
        """Returns no reward."""
        return StepReward((), terminated=False, success=False)


def simulators(task: Task[Any], config: TrainConfig) -> Iterator[Finding]:
    """Says which simulators can show the task."""
    for name in SIMULATORS:
        chosen = name == config.env.simulator
        try:
            build(task, config, name=name, render=False).close()
            yield ok(name, "it can simulate the task" + (" (env.simulator)" if chosen else ""))
        except TaskError as problem:
            if chosen:
                raise
            yield skipped(name, problem.found)
        except UserError as problem:
            finding = error(name, str(problem), "set env.simulator to the other one") if chosen else None
            yield finding or skipped(name, str(problem))


def views(task: Task[Any], config: TrainConfig) -> Iterator[Finding]:
    """Counts the pixels of each object at the start of episodes, in the images that the policy gets."""
    if not task.objects:
        yield skipped("cameras", "the task has no objects")
        return
    whole = _images(task, config)
    for each in task.objects:
        hidden = _images(WithoutObject(task, each.name), config)
        # [episodes, cameras]
        pixels = np.any(whole.astype(int) != hidden, axis=-1).sum(axis=(2, 3))
        best = pixels.max(axis=1)
        unseen = int(np.sum(best < FEW_PIXELS))
        found = f"{int(np.median(best))} pixels of {config.model.image_size} x {config.model.image_size}"
        if unseen:
            advice = "make it larger, place it in sight of cam_high, or raise model.image_size"
            text = f"no camera shows it in {unseen} of {len(best)} layouts; where one does, it has {found}"
            yield warn(each.name, text, advice)
        else:
            yield ok(each.name, f"each of {len(best)} layouts shows it; the best camera has {found}")


def expert(task: Task[Any], config: TrainConfig, *, episodes: int) -> Iterator[Finding]:
    """Counts how many episodes the scripted expert solves."""
    if task.make_expert(config) is None:
        reason = "the task has none; imitate recorded episodes (pretrain --episodes), or begin with random weights"
        yield skipped("expert", reason)
        return
    simulator = make_simulator(config, render=False)
    try:
        recordings = [record_episode(simulator, config, seed=seed, render=False) for seed in range(episodes)]
    finally:
        simulator.close()
    solved = sum(one.success for one in recordings)
    found = f"it solves {solved} of {episodes} episodes within {config.env.max_episode_chunks} chunks"
    if solved < SKILL * episodes:
        advice = "raise env.max_episode_chunks, or make it quicker; an imitation of it solves fewer still"
        yield warn("expert", found, advice)
    else:
        yield ok("expert", found)


def _images(task: Task[Any], config: TrainConfig) -> np.ndarray:
    """Returns the images at the starts of `NUM_VIEWS` episodes, uint8 [episodes, cameras, h, w, 3]."""
    simulator = build(task, config, name=config.env.simulator, render=True)
    try:
        shown = []
        for seed in range(NUM_VIEWS):
            simulator.reset(seed=seed)
            shown.append(simulator.render())
        return np.stack(shown)
    finally:
        simulator.close()


def first_images(task: Task[Any], config: TrainConfig, *, episodes: int = 3) -> np.ndarray:
    """Returns one picture, uint8 [rows, columns, 3]: a row for each episode's start, a column for each camera."""
    images = _images(task, config)[:episodes]
    return np.concatenate([np.concatenate(list(row), axis=1) for row in images], axis=0)
