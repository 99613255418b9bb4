"""Checks what a task says before anything moves: its words, its objects, and where a reset places them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chunk_ppo_ros.core.findings.finding import Finding, error, ok, warn
from chunk_ppo_ros.sim.geometry import BASE_POSITIONS
from chunk_ppo_ros.sim.scene import EpisodeLayout
from chunk_ppo_ros.sim.tasks.task import Task
from chunk_ppo_ros.sim.tasks.task_rules import wrong_words

NUM_LAYOUTS = 50
REACH = 0.75
"""The distance from its base that a gripper reaches, m; Interbotix's data sheet of the vx300s."""


def words(task: Task[Any]) -> Iterator[Finding]:
    """Checks the name, the prompt and the objects."""
    wrong = dict(wrong_words(task))
    found = {"name": repr(task.name), "prompt": repr(task.prompt)}
    found["objects"] = _names(task) if "objects" not in wrong else ""
    for name, text in found.items():
        if name in wrong:
            yield error(name, wrong[name].found.removeprefix(f"{name} "), wrong[name].advice)
        else:
            yield ok(name, text)


def _names(task: Task[Any]) -> str:
    return ", ".join(each.name for each in task.objects) or "none: the task is about the arms alone"


def layouts(task: Task[Any]) -> Iterator[Finding]:
    """Checks that a layout places each object, depends on its seed alone, and lies where the arms can reach."""
    drawn = [_draw(task, seed) for seed in range(NUM_LAYOUTS)]
    again = _draw(task, 0)
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


def _draw(task: Task[Any], seed: int) -> EpisodeLayout:
    return task.sample_layout(np.random.default_rng(seed))


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
