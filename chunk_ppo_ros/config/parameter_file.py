"""Reads and writes the configuration as a ROS parameter file, without ROS.

One file serves all nodes of the graph, because its entry is the wildcard `/**`. `nodes/wire/parameters.py` declares the
same names as parameters of a node.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.config.flags.example_file import example_file
from chunk_ppo_ros.config.flags.program import command_line
from chunk_ppo_ros.config.renamed import RENAMED, carry_over, notice
from chunk_ppo_ros.core.suggestions import nearest

ROS_PARAMETERS = ("use_sim_time", "start_type_description_service")
"""The parameters that ROS itself declares on every node. Those below `qos_overrides.` are further ones."""


def known_names() -> tuple[str, ...]:
    """Returns the dotted names of all settings, for example `ppo.learning_rate`."""
    sections = config_lib.to_dict(TrainConfig())
    return tuple(f"{section}.{name}" for section, settings in sections.items() for name in settings)


def is_ros_parameter(name: str) -> bool:
    """Returns whether ROS itself, not the configuration, owns the parameter."""
    return name in ROS_PARAMETERS or name.startswith("qos_overrides.")


def nest(flat: Mapping[str, Any], *, extra: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """Returns nested sections made of dotted settings, without the parameters of ROS.

    Old names stay, because `carry_over` gives their values the present names.

    Args:
        flat: values by dotted name.
        extra: further known names, which are left out, such as the parameters of a single node.

    Raises:
        ValueError: for a name that no section knows, with the nearest known ones.
    """
    known, extra = known_names(), tuple(extra)
    nested: dict[str, dict[str, Any]] = {}
    for name, value in flat.items():
        if is_ros_parameter(name) or name in extra:
            continue
        if name not in known and name not in RENAMED:
            sections = sorted({key.split(".")[0] for key in known})
            near = nearest(name, [*known, *extra], most=3) or sections
            raise ValueError(f"unknown parameter '{name}'; did you mean one of {', '.join(near)}?")
        section, field = name.split(".", 1)
        nested.setdefault(section, {})[field] = value
    return nested


def write_parameter_file(config: TrainConfig, path: str | pathlib.Path) -> None:
    """Writes all settings for all nodes. `load_config_file` reads them back unchanged."""
    content = {"/**": {"ros__parameters": config_lib.to_dict(config)}}
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def print_to_stderr(line: str) -> None:
    """Prints a line for the user beside a command's output."""
    print(line, file=sys.stderr, flush=True)


def load_config_file(
    path: str | pathlib.Path, *, base: TrainConfig | None = None, report: Callable[[str], object] = print_to_stderr
) -> TrainConfig:
    """Reads a parameter file.

    Args:
        path: a YAML file whose only entry is `/**`, with nested or dotted settings.
        base: configuration that missing settings are taken from; the defaults where not given.
        report: function that is called with one line for each setting of the file that has an old name.

    Raises:
        ValueError: when the file is missing or malformed, for an unknown name, a wrong type or a value out of range.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        preset = command_line("graph", "--config", str(path))
        advice = (
            f"`{preset}` starts the preset" if str(path) in config_lib.PRESETS else f"{example_file()} is an example"
        )
        raise ValueError(f"configuration file must exist, got {path}; {advice}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        values, old = carry_over(nest(flatten(_parameters(content))), dtype=(base or TrainConfig()).model.dtype)
        config = config_lib.from_dict(TrainConfig, values, base=base)
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from error  # in one line
    for name in old:
        report(notice(name, source=str(path)))
    return config


def values_of_file(path: str | pathlib.Path) -> dict[str, Any]:
    """Returns the settings that a parameter file gives, by their dotted names in this release.

    Args:
        path: a file that `load_config_file` has read, which checks it.
    """
    content = yaml.safe_load(pathlib.Path(path).read_text(encoding="utf-8"))
    return flatten(carry_over(nest(flatten(_parameters(content))))[0])


def _parameters(content: Any) -> Mapping[str, Any]:
    entry = content.get("/**") if isinstance(content, Mapping) and set(content) == {"/**"} else None
    if not isinstance(entry, Mapping) or set(entry) != {"ros__parameters"}:
        raise ValueError("a parameter file must have the one entry '/**' with 'ros__parameters' below it")
    parameters = entry["ros__parameters"] or {}
    if not isinstance(parameters, Mapping):
        raise ValueError(f"ros__parameters must be a mapping, got {parameters!r}")
    return parameters


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns the values of nested mappings by their dotted names. `nest` inverts it."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat
