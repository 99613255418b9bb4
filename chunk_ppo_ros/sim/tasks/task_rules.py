"""Checks what the code of a task returns. It may belong to somebody else, and may return anything.

A wrong answer is found where it is given. Otherwise an error would come later, from a line that is not the task's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from chunk_ppo_ros.config.flags import command_line
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim.experts.expert import PlannedChunk
from chunk_ppo_ros.sim.interface import StepReward
from chunk_ppo_ros.sim.scene import EpisodeLayout, SceneObject
from chunk_ppo_ros.sim.tasks.task import Task


class TaskError(UserError):
    """The code of a task raised an error, or returned something that it must not.

    Args:
        found: what is wrong, and where.
        advice: what to do.
        task: the setting `env.task`; empty where the error does not know it.
    """

    def __init__(self, found: str, advice: str, task: str = "") -> None:
        super().__init__(found, advice, task)  # A worker process sends an error by its arguments.
        self.found, self.advice, self.task = found, advice, task

    def __str__(self) -> str:
        """Returns one line, which ends with how to check the whole task."""
        if not self.task:
            return f"{self.found}; {self.advice}"
        check = command_line("check-task", self.task)
        return f"env.task {self.task}: {self.found}; {self.advice} (`{check}` tries all parts of the task)"


def wrong_words(task: Task[Any]) -> Iterator[tuple[str, TaskError]]:
    """Yields what is wrong about the name, the prompt and the objects of a task, each with the attribute's name."""
    for name in ("name", "prompt"):
        value = getattr(task, name)
        if not isinstance(value, str) or not value.strip():
            found = f"{name} must be a text that is not empty, got {value!r}"
            yield name, TaskError(found, f"give the class a `{name}`")
    if not isinstance(task.objects, tuple | list):
        found = f"objects must be a tuple of SceneObjects, got {task.objects!r}"
        yield "objects", TaskError(found, "write objects = (SceneObject(...),)")
        return
    wrong = [each for each in task.objects if not isinstance(each, SceneObject)]
    names = [each.name for each in task.objects if isinstance(each, SceneObject)]
    if wrong:
        found = f"objects must be SceneObjects, got {wrong[0]!r}"
        yield "objects", TaskError(found, "see chunk_ppo_ros/sim/scene.py")
    elif len(set(names)) < len(names):
        found = f"objects must have names of their own, got {', '.join(names)}"
        yield "objects", TaskError(found, "rename one of them")


def check_layout(task: Task[Any], layout: object) -> None:
    """Refuses a layout that does not place exactly the objects of its task, at finite places.

    Raises:
        TaskError: for such a layout.
    """
    if not isinstance(layout, EpisodeLayout):
        found = f"sample_layout must return an EpisodeLayout, got {layout!r}"
        raise TaskError(found, "give the class a `sample_layout` that returns EpisodeLayout({...})")
    names = {each.name for each in task.objects}
    if set(layout.poses) != names:
        found = (
            f"sample_layout must place exactly {', '.join(sorted(names)) or 'nothing'}, got "
            f"{', '.join(sorted(layout.poses)) or 'nothing'}"
        )
        raise TaskError(found, "place each of `objects`, and nothing else")
    for name, pose in layout.poses.items():
        if not _are_finite(pose.position, (3,)):
            found = f"the position of {name} must be three finite numbers, m, got {pose.position}"
            raise TaskError(found, "see Pose in chunk_ppo_ros/sim/scene.py")
        is_unit = _are_finite(pose.rotation, (4,)) and math.isclose(np.linalg.norm(pose.rotation), 1.0, abs_tol=1e-3)
        if not is_unit:
            found = f"the rotation of {name} must be a unit quaternion (w, x, y, z), got {pose.rotation}"
            raise TaskError(found, "see Pose in chunk_ppo_ros/sim/scene.py")


def check_reward(reward: object) -> None:
    """Refuses a judgment on a step that is none, or whose terms are not finite.

    Raises:
        TaskError: for such a judgment.
    """
    if not isinstance(reward, StepReward):
        raise TaskError(f"step_reward must return a StepReward, got {reward!r}", "return StepReward(terms, ...)")
    if not isinstance(reward.terms, tuple | list):
        raise TaskError(f"terms must be a tuple of RewardTerms, got {reward.terms!r}", "write (RewardTerm(...),)")
    wrong = [term for term in reward.terms if not isinstance(term, RewardTerm)]
    if wrong:
        raise TaskError(f"terms must be RewardTerms, got {wrong[0]!r}", "write RewardTerm(name, value, weight)")
    names = [term.name for term in reward.terms]
    unnamed = [name for name in names if not isinstance(name, str) or not name.strip()]
    if unnamed:
        raise TaskError(f"the name of a term must be a text that is not empty, got {unnamed[0]!r}", "name the term")
    if len(set(names)) < len(names):
        raise TaskError(f"terms must have names of their own, got {', '.join(names)}", "rename one of them")
    for term in reward.terms:
        if not (_are_finite(term.value, ()) and _are_finite(term.weight, ())):
            found = f"the term {term.name} must have a finite value and weight, got {term.value} and {term.weight}"
            raise TaskError(found, "return one number for each, which is not NaN")
    for name in ("terminated", "success"):
        if not _is_truth(getattr(reward, name)):
            found = f"{name} must be True or False, got {getattr(reward, name)!r}"
            raise TaskError(found, "make one truth of it, such as by bool(...) or np.all(...)")


def check_plan(planned: object, *, horizon: int) -> None:
    """Refuses a chunk of an expert that is none, or whose shape or numbers are wrong.

    Raises:
        TaskError: for such a chunk.
    """
    if not isinstance(planned, PlannedChunk):
        raise TaskError(f"plan must return a PlannedChunk, got {planned!r}", "return PlannedChunk(intended, executed)")
    for name in ("intended", "executed"):
        shape = np.shape(getattr(planned, name))
        if shape != (horizon, aloha.ACTION_DIM):
            raise TaskError(
                f"plan must return chunks of {horizon} steps with {aloha.ACTION_DIM} numbers each, got the shape "
                f"{shape} of `{name}`",
                "read config.model.action_horizon",
            )
        if not _are_finite(getattr(planned, name), shape):
            raise TaskError(f"plan must return finite numbers, got NaN or infinity in `{name}`", "repair the expert")


def _are_finite(values: object, shape: tuple[int, ...]) -> bool:
    """Returns whether values are finite numbers in this shape. A text is no number, also where it says one."""
    try:
        if np.asarray(values).dtype.kind in "USO":
            return False
        numbers = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        return False
    return numbers.shape == shape and bool(np.all(np.isfinite(numbers)))


def _is_truth(value: object) -> bool:
    """Returns whether a value is True or False, or a number 0 or 1. Any text that is not empty would count as true."""
    try:
        found = np.asarray(value)
    except ValueError:
        return False
    return found.shape == () and found.dtype.kind in "biu" and found in (0, 1)
