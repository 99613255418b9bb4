"""Checks a task of the simulator before anybody trains on it, and says what to do about what is wrong.

It draws layouts, moves the arms at random, looks through the cameras, and lets the scripted expert work if there is
one. It takes some seconds and needs no weights.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from chunk_ppo_ros.config import KINEMATIC, MUJOCO, TrainConfig, flags
from chunk_ppo_ros.config.commands.tasks import CHECKED_EPISODES, check_task_parser
from chunk_ppo_ros.core.errors import SettingError
from chunk_ppo_ros.core.findings import text as report
from chunk_ppo_ros.core.findings.finding import Finding, error, skipped
from chunk_ppo_ros.sim.check_task import layout_checks, reward_checks, view_checks
from chunk_ppo_ros.sim.rendering import rendering_available
from chunk_ppo_ros.sim.simulator import MAKERS, build
from chunk_ppo_ros.sim.tasks.registry import load_task
from chunk_ppo_ros.sim.tasks.task import Task
from chunk_ppo_ros.sim.tasks.task_rules import TaskError

SCALE = 4
"""How many times larger the picture shows the images."""


def check(config: TrainConfig, *, episodes: int = CHECKED_EPISODES) -> dict[str, list[Finding]]:
    """Returns what the checks of the task `env.task` find, by groups.

    Args:
        config: the settings, of which the task, the simulator, the time limit and the sizes of the model are read.
        episodes: the number of episodes of random motions, and of the expert.

    Raises:
        RegistryError, TaskError: where the task cannot be imported or made.
        ValueError: for settings that the task does not have.
    """
    task = load_task(config.env)
    found = {"task": _run("task", lambda: _task(task))}
    if report.has_errors(found):
        return found
    found["simulators"] = _run("simulators", lambda: view_checks.simulators(task, config))
    if report.has_errors(found):
        return found
    found["rewards"] = _run("rewards", lambda: _rewards(task, config, episodes))
    found["cameras"] = _run("cameras", lambda: view_checks.views(task, config))
    found["expert"] = _run("expert", lambda: view_checks.expert(task, config, episodes=episodes))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the findings. Returns 1 where one of them is an error, and 0 otherwise."""
    parser = check_task_parser()
    given = parser.parse_args(arguments)
    config = flags.config_or_exit(parser, given)
    config = dataclasses.replace(config, env=dataclasses.replace(config.env, task=given.checked))
    if config.env.simulator not in MAKERS:
        parser.error(f"--simulator must be {' or '.join(MAKERS)}, got {config.env.simulator}")
    if given.episodes < 1:
        parser.error(f"--episodes must be at least 1, got {given.episodes}")
    config, note = _with_simulator(config)
    findings = check(config, episodes=given.episodes)
    if note is not None:
        findings = {**findings, "simulators": [note, *findings.get("simulators", [])]}
    print(report.as_json(findings) if given.json else report.as_table(findings))
    if given.picture and not report.has_errors(findings):
        _write_picture(load_task(config.env), config, Path(given.picture))
        print(f"\n{given.picture} shows three starts as the policy sees them, a column for each camera")
    return 1 if report.has_errors(findings) else 0


def _task(task: Task[Any]) -> Iterator[Finding]:
    yield from layout_checks.words(task)
    yield from layout_checks.layouts(task)


def _rewards(task: Task[Any], config: TrainConfig, episodes: int) -> Iterator[Finding]:
    simulator = build(task, config, name=config.env.simulator, render=False)
    try:
        done = reward_checks.run_episodes(task, simulator, config, episodes=episodes)
    finally:
        simulator.close()
    yield from reward_checks.numbers(done, config)
    yield from reward_checks.standing_still(done)
    yield from reward_checks.ends(done)
    yield from reward_checks.speed(done)


def _run(group: str, checks: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """Returns the findings of a group. What the task raises ends the group, and is a finding itself."""
    findings: list[Finding] = []
    try:
        findings.extend(checks())
    except TaskError as problem:
        findings.append(error(group, problem.found, problem.advice))
    return findings


def _with_simulator(config: TrainConfig) -> tuple[TrainConfig, Finding | None]:
    """Returns settings whose simulator can draw on this machine, and what was changed for it."""
    reason = rendering_available() if config.env.simulator == MUJOCO else None
    if reason is None:
        return config, None
    changed = dataclasses.replace(config, env=dataclasses.replace(config.env, simulator=KINEMATIC))
    return changed, skipped(MUJOCO, f"{reason}; the kinematic simulator is used in its place")


def _write_picture(task: Task[Any], config: TrainConfig, path: Path) -> None:
    image = Image.fromarray(view_checks.first_images(task, config))
    size = (image.width * SCALE, image.height * SCALE)
    try:
        image.resize(size, Image.Resampling.NEAREST).save(path)
    except (OSError, ValueError) as problem:
        raise SettingError(f"--picture must be a PNG file that can be written, got {path}: {problem}") from problem
