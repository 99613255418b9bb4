"""Checks what a task says before anything moves: its words, its objects, and where a reset places them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from chunk_ppo_ros.core.findings.finding import Finding, error, ok, warn
from chunk_ppo_ros.sim.check_task.attempt import TaskError, attempt
from chunk_ppo_ros.sim.geometry import BASE_POSITIONS
from chunk_ppo_ros.sim.scene import EpisodeLayout, SceneObject
from chunk_ppo_ros.sim.tasks.task import Task

NUM_LAYOUTS = 50
REACH = 0.75
"""The distance from its base that a gripper reaches, m; Interbotix's data sheet of the vx300s."""


def words(task: Task[Any]) -> Iterator[Finding]:
    """Checks the name, the prompt and the objects."""
    for name in ("name", "prompt"):
        value = getattr(task, name)
        if isinstance(value, str) and value.strip():
            yield ok(name, repr(value))
        else:
            yield error(name, f"must be a text that is not empty, got {value!r}", f"give the class a `{name}`")
    wrong = [each for each in task.objects if not isinstance(each, SceneObject)]
    names = [each.name for each in task.objects if isinstance(each, SceneObject)]
    if wrong:
        yield error("objects", f"must be SceneObjects, got {wrong[0]!r}", "see chunk_ppo_ros/sim/scene.py")
    elif len(set(names)) < len(names):
        yield error("objects", f"must have names of their own, got {', '.join(names)}", "rename one of them")
    else:
        yield ok("objects", ", ".join(names) or "none: the task is about the arms alone")


def layouts(task: Task[Any]) -> Iterator[Finding]:
    """Checks that a layout places each object, depends on its seed alone, and lies where the arms can reach."""
    drawn = [draw_layout(task, seed) for seed in range(NUM_LAYOUTS)]
    again = draw_layout(task, 0)
    if _places(again) != _places(drawn[0]):
        advice = "draw everything from `rng`, and keep nothing between two calls"
        yield error("same seed", "two layouts of the same seed differ", advice)
        return
    yield ok("same seed", "a seed gives the same layout each time")
    if not task.objects:
        return
    if len({str(_places(layout)) for layout in drawn}) == 1:
        advice = "draw the places from `rng`, or the policy learns one motion by heart"
        yield warn("different seeds", f"{NUM_LAYOUTS} layouts are equal", advice)
    else:
        yield ok("different seeds", f"{NUM_LAYOUTS} layouts differ")
    yield from _reach(drawn)


def draw_layout(task: Task[Any], seed: int) -> EpisodeLayout:
    """Returns the layout of a seed.

    Raises:
        TaskError: where the task raises, or the layout does not place exactly its objects at finite places.
    """
    layout = attempt("sample_layout", lambda: task.sample_layout(np.random.default_rng(seed)))
    if not isinstance(layout, EpisodeLayout):
        raise TaskError(f"sample_layout must return an EpisodeLayout, got {layout!r}", "return EpisodeLayout({...})")
    names = {each.name for each in task.objects}
    if set(layout.poses) != names:
        found = (
            f"sample_layout must place exactly {', '.join(sorted(names)) or 'nothing'}, got "
            f"{', '.join(sorted(layout.poses)) or 'nothing'}"
        )
        raise TaskError(found, "place each of `objects`, and nothing else")
    for name, pose in layout.poses.items():
        position, rotation = np.asarray(pose.position, float), np.asarray(pose.rotation, float)
        if position.shape != (3,) or not np.all(np.isfinite(position)):
            raise TaskError(f"the position of {name} must be three finite numbers, m, got {position}", "see Pose")
        if rotation.shape != (4,) or not math.isclose(float(np.linalg.norm(rotation)), 1.0, abs_tol=1e-3):
            raise TaskError(
                f"the rotation of {name} must be a unit quaternion (w, x, y, z), got {rotation}", "see Pose"
            )
    return layout


def _reach(drawn: list[EpisodeLayout]) -> Iterator[Finding]:
    for name in drawn[0].poses:
        places = np.stack([np.asarray(layout.poses[name].position, float) for layout in drawn])
        distances = np.linalg.norm(places[:, None] - BASE_POSITIONS, axis=2).min(axis=1)
        low, high = places.min(0), places.max(0)
        box = ", ".join(f"{axis} {a:.2f}..{b:.2f}" for axis, a, b in zip("xyz", low, high, strict=True))
        if low[2] < 0.0:
            advice = "z is 0 at the table top; add half of the object's height"
            yield error(f"place of {name}", f"lies below the table: {box} m", advice)
        elif distances.max() > REACH:
            far = int(np.sum(distances > REACH))
            advice = f"keep it within {REACH} m of a base, which stand at x {BASE_POSITIONS[0][0]:.2f} and "
            advice += f"{BASE_POSITIONS[1][0]:.2f}, y {BASE_POSITIONS[0][1]:.2f} m"
            yield warn(f"place of {name}", f"{far} of {len(drawn)} layouts are out of reach: {box} m", advice)
        else:
            yield ok(f"place of {name}", f"{box} m")


def _places(layout: EpisodeLayout) -> dict[str, tuple[float, ...]]:
    return {
        name: (*np.asarray(pose.position, float).tolist(), *np.asarray(pose.rotation, float).tolist())
        for name, pose in sorted(layout.poses.items())
    }
