"""Lists the tasks, and makes the configured one.

A task of this package is one file in this folder and one line in `TASKS`. A task of your own is named by its module and
class, as "my_task:Stack". A package can also register a task, by an entry point of the group `chunk_ppo_ros.tasks`. All
are classes derived from `Task`, or functions that return a task. They are called with the `EnvConfig` where they have a
parameter for it, and else without arguments.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from chunk_ppo_ros.config import EnvConfig, TrainConfig
from chunk_ppo_ros.core.errors import RegistryError
from chunk_ppo_ros.core.own_parts.user_code import place
from chunk_ppo_ros.core.prompts.prompt_schedule import PromptSchedule
from chunk_ppo_ros.core.prompts.weighted_prompt import WeightedPrompt
from chunk_ppo_ros.core.registry import Registry
from chunk_ppo_ros.sim.tasks.own_task import OwnTask, blamed_on
from chunk_ppo_ros.sim.tasks.task import Task

MakeTask = Callable[..., Task[Any]]

TASKS: Registry[MakeTask] = Registry(
    "env.task",
    group="chunk_ppo_ros.tasks",
    own={
        "reach": "chunk_ppo_ros.sim.tasks.reach:make_reach",
        "transfer_cube": "chunk_ppo_ros.sim.tasks.transfer_cube:make_transfer_cube",
    },
    attributes=("__call__",),
)
"""The registered tasks. Each entry is a class or a function that makes the task."""

_MEMBERS = ("name", "prompt", "objects", "sample_layout", "observe", "step_reward", "make_expert")


def make_task(env: EnvConfig) -> Task[Any]:
    """Returns the task `env.task`.

    Raises:
        RegistryError: for a name that is not registered (the text lists the registered names), for a task that cannot
            be made, or for a part that is no task.
        TaskError: for a task of somebody else whose name, prompt or objects are wrong, or whose code raises an error.
        ValueError: for settings that the task does not have.
    """
    task = load_task(env)
    if isinstance(task, OwnTask):
        task.check_words()
    return task


def load_task(env: EnvConfig) -> Task[Any]:
    """Returns the task `env.task`, whose name, prompt and objects may be wrong; see `make_task`."""
    if is_ours(env):
        return _made(env)
    with blamed_on(env.task, "making the task"):
        task = _made(env)
    return OwnTask(task, env.task)


def is_ours(env: EnvConfig) -> bool:
    """Returns whether `env.task` is a task of this package."""
    return env.task in TASKS.own_names()


def _made(env: EnvConfig) -> Task[Any]:
    make = TASKS.get(env.task)
    try:
        task = make(env) if _takes_env(make) else make()
    except TypeError as error:  # such as a class whose `__init__` wants more than the settings
        if place(error):  # The class has begun its work.
            raise
        raise RegistryError(
            f"env.task {env.task!r} must be made from an EnvConfig or from nothing, got {error}; give its class an "
            "__init__ without further parameters, or name a function that makes it"
        ) from error
    missing = [name for name in _MEMBERS if not hasattr(task, name)]
    if missing:
        raise RegistryError(
            f"env.task {env.task!r} must make a Task, got {task!r} without {', '.join(missing)}; derive its class from "
            "chunk_ppo_ros.sim.tasks.task.Task"
        )
    return task


def _takes_env(make: MakeTask) -> bool:
    """Returns whether a class or a function has a parameter for the `EnvConfig`."""
    try:
        parameters = inspect.signature(make).parameters.values()
    except ValueError:  # Some functions of C have no signature.
        return True
    return any(each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in parameters)


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
