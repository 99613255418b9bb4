"""Finds how the settings of a run differ from a preset, and the flags that give them again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.config.flags.graph_start import GraphStart
from chunk_ppo_ros.config.parameter_file import flatten
from chunk_ppo_ros.config.renamed import carry_over


def nearest_preset(settings: Mapping[str, Any]) -> str:
    """Returns the preset that differs in the fewest settings, with these settings: "debug with ppo.gamma=0.9".

    The section `run` is not compared.
    """
    name, changes = changes_from_preset(settings)
    changed = [f"{key}={value}" for key, (value, _) in changes.items() if not key.startswith("run.")]
    return f"{name} with {', '.join(changed)}" if changed else name


def changes_from_preset(settings: Mapping[str, Any]) -> tuple[str, dict[str, tuple[Any, Any]]]:
    """Returns the nearest preset, and the value of the run and of the preset for each setting that differs.

    Which preset is the nearest does not depend on the section `run`, whose settings are among the differences.

    Args:
        settings: the settings by section, which may be of an earlier version.
    """
    candidates = []
    for name in config_lib.PRESETS:
        differing = _changes(settings, name, {})
        count = sum(not key.startswith("run.") for key in differing)
        candidates.append((count, name, differing))
    _, name, differing = min(candidates, key=lambda each: each[:2])
    return name, differing


def _changes(settings: Mapping[str, Any], preset: str, file: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Returns the value of the run, and that of the preset and of a file over it, for each setting that differs.

    What the file says of the robot and of the run's name is among them, whether it differs or not. The file may have
    changed since, and must not decide that another robot moves, or that it moves in another way.
    """
    before = {**flatten(config_lib.to_dict(config_lib.PRESETS[preset])), **file}
    flat = flatten(present(settings))
    return {
        key: (value, before.get(key))
        for key, value in flat.items()
        if before.get(key) != value or (key in file and _is_of_run_alone(key))
    }


def _is_of_run_alone(key: str) -> bool:
    """Returns whether a command gives a setting itself, although the run had it from its parameter file."""
    return key.startswith("robot.") or key in ("env.simulator", "run.exp_name")


def present(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the settings of an earlier version under their present names, or as they are where that is impossible."""
    try:
        return carry_over(settings)[0]
    except ValueError:
        return settings  # The page then shows the old names.


def command_line(
    form: str,
    settings: Mapping[str, Any],
    *,
    resume: bool,
    variables: Mapping[str, str] | None = None,
    start: GraphStart | None = None,
) -> str:
    """Returns the command that starts a run with these settings, for a terminal in which no variable is set for it.

    Args:
        form: the sub-command, "train" or "graph".
        settings: the settings by section.
        resume: whether the command goes on with the run instead of making it again.
        variables: the variables of the environment that the run needs, as `software.needed_variables` returns them.
        start: how the graph of the run was started; None where the run has none, or is of a version that did not
            record it. The settings of its parameter file are given by the file, and those that differ by flags.
    """
    flags = dict(start.flags) if start else {}
    if start and start.file and start.preset in config_lib.PRESETS:
        preset, changes = start.preset, _changes(settings, start.preset, start.file)
    else:  # All settings are given by flags.
        flags.pop("params_file", None)
        preset, changes = changes_from_preset(settings)
    needed = {**(variables or {})}
    if "domain_id" in flags:
        needed.pop("ROS_DOMAIN_ID", None)
    words = [*(_assignment(name, value) for name, value in needed.items()), "chunk_ppo", form, "--config", preset]
    for name, value in flags.items():
        words += _flag(name, value)
    for key, (value, _) in changes.items():
        if key != "run.resume":
            words += _flag(key.partition(".")[2], value)
    if resume or (start and start.file.get("run.resume")):
        words += _flag("resume", resume)
    return " ".join(words)


def _assignment(name: str, value: str) -> str:
    """Returns the setting of a variable before a command. What PYTHONPATH has in the terminal is kept behind it."""
    return f"{name}={shlex.quote(value)}" + (':"$PYTHONPATH"' if name == "PYTHONPATH" else "")


def _flag(name: str, value: Any) -> list[str]:
    """Returns a flag with its value, as a shell takes them."""
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no_{name}"]
    values = value if isinstance(value, list) else [value]
    # An equals sign keeps a value that begins with a hyphen from being taken for a flag.
    if len(values) == 1:
        return [f"--{name}={shlex.quote(str(values[0]))}"]
    if not values:
        return [f"--{name}="]
    return [f"--{name}", *(shlex.quote(str(each)) for each in values)]
