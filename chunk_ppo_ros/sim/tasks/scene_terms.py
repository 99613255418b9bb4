"""Adds terms, which are computed from the scene, to the terms of any task.

A term of your own is named by its module and function, as "my_terms:rise". A package can register a term, by an entry
point of the group `chunk_ppo_ros.scene_terms`, and a term of this package is one file in this folder and one line in
`SCENE_TERMS`. All are functions of the scenes before and after a control step (`SceneState`), and return the value of
the step as a float. The setting `reward.scene_terms` names the terms that count, each with its weight. The value of a
chunk is the sum over its steps. In metrics a term has its name without the module.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import RewardError
from chunk_ppo_ros.core.own_parts.registered_functions import number_of
from chunk_ppo_ros.core.registry import Registry, check_short_names, short_name
from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.sim.interface import StepReward
from chunk_ppo_ros.sim.scene import EpisodeLayout, SceneState
from chunk_ppo_ros.sim.tasks.task import Task

SceneTerm = Callable[[SceneState, SceneState], float]

SCENE_TERMS: Registry[SceneTerm] = Registry(
    "reward.scene_terms", group="chunk_ppo_ros.scene_terms", own={}, attributes=("__call__",)
)
"""The registered terms that are computed from the scene. This package has none of its own."""


@dataclasses.dataclass(frozen=True)
class ObservedScene:
    """Holds a scene as the simulator returns it, and what the task reads of it."""

    scene: SceneState
    seen: Any


class TaskWithTerms(Task[ObservedScene]):
    """Adds further terms to the steps of a task. Everything else is the task's own."""

    def __init__(self, task: Task[Any], terms: Mapping[str, tuple[SceneTerm, float]]) -> None:
        """Adds terms to a task.

        Args:
            task: the task.
            terms: the function and the weight of each further term, by its name.
        """
        self.name, self.prompt, self.objects = task.name, task.prompt, task.objects
        self._task, self._terms = task, terms

    def sample_layout(self, rng: np.random.Generator) -> EpisodeLayout:
        """Returns a random layout of the task."""
        return self._task.sample_layout(rng)

    def observe(self, scene: SceneState) -> ObservedScene:
        """Returns the scene, and what the task reads of it."""
        return ObservedScene(scene, self._task.observe(scene))

    def step_reward(self, before: ObservedScene, after: ObservedScene) -> StepReward:
        """Returns the task's reward with the further terms.

        Raises:
            RewardError: where a further term has the name of a term of the task, raises, or returns no finite number.
        """
        reward = self._task.step_reward(before.seen, after.seen)
        taken = {term.name for term in reward.terms} & set(self._terms)
        if taken:
            raise RewardError(
                f"reward.scene_terms must have names of their own, got {', '.join(sorted(taken))}, which the task "
                f"{self.name} has; rename the entry point"
            )
        added = [
            RewardTerm(name, _value(name, function, before.scene, after.scene), weight)
            for name, (function, weight) in self._terms.items()
        ]
        return dataclasses.replace(reward, terms=(*reward.terms, *added))


def _value(name: str, function: SceneTerm, before: SceneState, after: SceneState) -> float:
    return number_of(f"{SCENE_TERMS.what} {name}", function, before, after, is_finite=True)


def with_scene_terms(task: Task[Any], config: TrainConfig) -> Task[Any]:
    """Returns the task with the terms of `reward.scene_terms`, or the task itself where there are none.

    Raises:
        RegistryError: for a name that no package registers, a term that cannot be imported, or two terms whose names
            are equal without their modules.
    """
    weights = config.reward.scene_weights
    if not weights:
        return task
    check_short_names(SCENE_TERMS.what, weights)
    return TaskWithTerms(task, {short_name(name): (SCENE_TERMS.get(name), weight) for name, weight in weights.items()})
