"""Finds how the settings of a run differ from a preset, and the flags that give them again."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.config.flags.run_start import RunStart
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
    name = _nearest(settings)
    return name, _changes(settings, _before(name))


def _nearest(settings: Mapping[str, Any], file: Mapping[str, Any] = MappingProxyType({}), model: str = "") -> str:
    """Returns the preset that differs from the settings in the fewest of them, with a file and a model over it."""
    counts = []
    for name in config_lib.PRESETS:
        changes = _changes(settings, _before(name, file, model))
        counts.append((sum(not key.startswith("run.") for key in changes), name))
    return min(counts)[1]


def _before(preset: str, file: Mapping[str, Any] = MappingProxyType({}), model: str = "") -> dict[str, Any]:
    """Returns the settings of a preset, with those of a parameter file and of a size of the model over them."""
    values = {**flatten(config_lib.to_dict(config_lib.PRESETS[preset])), **file}
    size = {"model": config_lib.to_dict(config_lib.MODELS[model])} if model else {}
    return {**values, **flatten(size)}


def _changes(
    settings: Mapping[str, Any], before: Mapping[str, Any], always: Collection[str] = ()
) -> dict[str, tuple[Any, Any]]:
    """Returns the value of the run and the one before for each setting that differs.

    Args:
        settings: the settings by section, which may be of an earlier version.
        before: the settings to compare them with, by their dotted names.
        always: the names of settings and of sections that are among the result also where they do not differ.
    """
    return {
        key: (value, before.get(key))
        for key, value in flatten(present(settings)).items()
        if before.get(key) != value or key in always or key.partition(".")[0] in always
    }


def _is_of_run_alone(key: str) -> bool:
    """Returns whether a command gives a setting itself, although the run had it from its parameter file.

    The file may have changed since, and must not decide that another robot moves, or that it moves in another way.
    """
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
    start: RunStart | None = None,
    given: Collection[str] = (),
) -> str:
    """Returns the command that starts a run with these settings, for a terminal in which no variable is set for it.

    Args:
        form: the sub-command, "train" or "graph".
        settings: the settings by section.
        resume: whether the command goes on with the run instead of making it again.
        variables: the variables of the environment that the run needs, as `software.needed_variables` returns them.
        start: what the user gave at the start of the run; None where the run is of a version that did not record it.
            The settings of its parameter file are given by the file, and those that differ by flags.
        given: the names of settings that are flags in any case, as in `RunStart.given`. Without its flag, a setting is
            that of the checkpoint that the run starts from, even where the preset has the value of the run.
    """
    words = _Flags.of(settings, start or RunStart(), given)
    needed = {**(variables or {})}
    if "domain_id" in words.others:
        needed.pop("ROS_DOMAIN_ID", None)
    command = [*(_assignment(name, value) for name, value in needed.items()), "chunk_ppo", form]
    command += ["--config", words.preset]
    for name, value in {**words.others, **words.settings}.items():
        command += _flag(name, value)
    if resume or words.file_resumes:
        command += _flag("resume", resume)
    return " ".join(command)


@dataclasses.dataclass(frozen=True)
class _Flags:
    """The flags of a command.

    Attributes:
        preset: the value of --config.
        others: the values of the flags that are no settings, by their names.
        settings: the values of the flags of settings, by their names.
        file_resumes: whether the parameter file among the flags goes on with a run.
    """

    preset: str
    others: Mapping[str, Any]
    settings: Mapping[str, Any]
    file_resumes: bool

    @classmethod
    def of(cls, settings: Mapping[str, Any], start: RunStart, given: Collection[str]) -> _Flags:
        """Returns the flags of a run with these settings, as `command_line` describes them."""
        others, always = dict(start.flags), set(given)
        file = start.file if start.preset in ("", *config_lib.PRESETS) else {}
        if not file:  # All settings are given by flags.
            others.pop("params_file", None)
            always |= set(start.file)
        if others.get("model") in config_lib.MODELS:
            always.discard("model")
        else:
            others.pop("model", None)
        model = others.get("model", "")
        preset = (start.preset if file else "") or _nearest(settings, file, model)
        always |= {key for key in file if _is_of_run_alone(key)}
        changes = _changes(settings, _before(preset, file, model), always)
        flags = {key.partition(".")[2]: value for key, (value, _) in changes.items() if key != "run.resume"}
        return cls(preset, others, flags, bool(file.get("run.resume")))


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
