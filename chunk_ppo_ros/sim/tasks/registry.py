"""Lists the tasks, and makes the configured one.

A task of this package is one file in this folder and one line in `TASKS`. A task of another package is an entry point
of the group `chunk_ppo_ros.tasks`, which is a function that takes an `EnvConfig` and returns a `Task`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chunk_ppo_ros.config import EnvConfig, TrainConfig
from chunk_ppo_ros.core.errors import RegistryError
from chunk_ppo_ros.core.prompts.prompt_schedule import PromptSchedule
from chunk_ppo_ros.core.prompts.weighted_prompt import WeightedPrompt
from chunk_ppo_ros.core.registry import Registry
from chunk_ppo_ros.sim.tasks.task import Task

MakeTask = Callable[[EnvConfig], Task[Any]]

TASKS: Registry[MakeTask] = Registry(
    "env.task",
    group="chunk_ppo_ros.tasks",
    own={
        "reach": "chunk_ppo_ros.sim.tasks.reach:make_reach",
        "transfer_cube": "chunk_ppo_ros.sim.tasks.transfer_cube:make_transfer_cube",
    },
    attributes=("__call__",),
)
"""The registered tasks. Each entry is a function that makes the task."""

_MEMBERS = ("name", "prompt", "objects", "sample_layout", "observe", "step_reward", "make_expert")


def make_task(env: EnvConfig) -> Task[Any]:
    """Returns the task `env.task`.

    Raises:
        RegistryError: for a name that is not registered (the text lists the registered names), or for a part that is no
            task.
        ValueError: for settings that the task does not have.
    """
    task = TASKS.get(env.task)(env)
    missing = [name for name in _MEMBERS if not hasattr(task, name)]
    if missing:
        raise RegistryError(
            f"env.task {env.task!r} must make a Task, got {task!r} without {', '.join(missing)}; derive its class from "
            "chunk_ppo_ros.sim.tasks.task.Task"
        )
    return task


def prompts_of(config: TrainConfig) -> tuple[WeightedPrompt, ...]:
    """Returns the prompts of a run's episodes, at least one.

    They are `episode.prompts`. Where that is empty there is one, which is `run.prompt` or, where that is empty too, the
    words of the task `env.task`.

    Raises:
        RegistryError: where `make_task` raises it.
        ValueError: where `make_task` raises it.
    """
    return config.episode.weighted_prompts or (WeightedPrompt(config.run.prompt or make_task(config.env).prompt),)


def prompt_schedule(config: TrainConfig) -> PromptSchedule:
    """Returns what says which of these prompts an episode of a run has.

    Raises:
        RegistryError: where `make_task` raises it.
        ValueError: where `make_task` raises it.
    """
    return PromptSchedule(prompts_of(config), sampling=config.episode.prompt_sampling, run_seed=config.run.seed)
