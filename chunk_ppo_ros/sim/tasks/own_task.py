"""Calls a task that belongs to somebody else, so that its errors say what is wrong, in which line, and what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.own_parts.user_code import definition, raised
from chunk_ppo_ros.sim.experts.expert import Expert, PlannedChunk
from chunk_ppo_ros.sim.interface import StepReward
from chunk_ppo_ros.sim.scene import EpisodeLayout, SceneState
from chunk_ppo_ros.sim.tasks import task_rules
from chunk_ppo_ros.sim.tasks.task import Task
from chunk_ppo_ros.sim.tasks.task_rules import TaskError


@contextlib.contextmanager
def blamed_on(task: str, what: str, function: object = None) -> Iterator[None]:
    """Makes a TaskError of the errors that the block raises. Other errors for the user stay what they are.

    Args:
        task: the setting `env.task`.
        what: what the block does, such as "step_reward".
        function: the function of the task, in which a wrong answer is looked for.
    """
    try:
        yield
    except TaskError as error:
        raise TaskError(f"{error.found}{definition(function)}", error.advice, task) from error.__cause__
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # The task belongs to somebody else and may raise anything.
        raise TaskError(f"{what} raised {raised(error)}", "repair that line", task) from error


class OwnTask(Task[Any]):
    """A task of somebody else. Each of its answers is checked, and each of its errors becomes a TaskError.

    Args:
        task: the task.
        setting: the setting `env.task`, for errors.
    """

    def __init__(self, task: Task[Any], setting: str) -> None:
        self._task, self._setting = task, setting
        with blamed_on(setting, "reading its name, prompt and objects"):
            self.name, self.prompt, self.objects = task.name, task.prompt, task.objects

    def check_words(self) -> None:
        """Refuses a wrong name, prompt or object.

        Raises:
            TaskError: for the first of them.
        """
        for _, error in task_rules.wrong_words(self):
            raise TaskError(error.found, error.advice, self._setting)

    def sample_layout(self, rng: np.random.Generator) -> EpisodeLayout:
        """Returns a random layout of the task."""
        with blamed_on(self._setting, "sample_layout", self._task.sample_layout):
            layout = self._task.sample_layout(rng)
            task_rules.check_layout(self, layout)
        return layout

    def observe(self, scene: SceneState) -> Any:
        """Returns what the task reads of a scene."""
        with blamed_on(self._setting, "observe"):
            return self._task.observe(scene)

    def step_reward(self, before: Any, after: Any) -> StepReward:
        """Returns the judgment of the task on a step."""
        with blamed_on(self._setting, "step_reward", self._task.step_reward):
            reward = self._task.step_reward(before, after)
            task_rules.check_reward(reward)
        return reward

    def make_expert(self, config: TrainConfig) -> Expert[Any] | None:
        """Returns the expert of the task, or None where it has none."""
        with blamed_on(self._setting, "make_expert", self._task.make_expert):
            expert = self._task.make_expert(config)
            if expert is not None and not callable(getattr(expert, "plan", None)):
                found = f"make_expert must return an expert with a method plan, got {expert!r}"
                raise TaskError(found, "give its class a `plan`, or return None")
        return None if expert is None else _OwnExpert(expert, self._setting, horizon=config.model.action_horizon)


class _OwnExpert:
    """The expert of such a task. It is an `Expert`."""

    def __init__(self, expert: Expert[Any], setting: str, *, horizon: int) -> None:
        self._expert, self._setting, self._horizon = expert, setting, horizon

    def plan(self, state: np.ndarray, scene: Any, *, random: np.random.Generator) -> PlannedChunk:
        """Returns the next chunk of the expert."""
        with blamed_on(self._setting, "plan", self._expert.plan):
            planned = self._expert.plan(state, scene, random=random)
            task_rules.check_plan(planned, horizon=self._horizon)
        return planned
