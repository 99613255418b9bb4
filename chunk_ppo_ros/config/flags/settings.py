"""Flags for the configuration: a preset to start from, and a flag for every setting.

The flags are made from the dataclasses of the sections. The field names are unique over all sections, so that
`--learning_rate` needs no prefix. `--ppo.learning_rate` is the same flag. The configuration checks the values.
"""

from __future__ import annotations

import argparse
import dataclasses
import typing
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from chunk_ppo_ros import config as config_module
from chunk_ppo_ros.config import MODELS, PRESETS, TrainConfig
from chunk_ppo_ros.config.flags.help_page import Defaults
from chunk_ppo_ros.config.flags.numbers import number, whole_number
from chunk_ppo_ros.config.flags.parser import FlagParser
from chunk_ppo_ros.config.flags.run_start import RunStart
from chunk_ppo_ros.config.presets import ABOUT
from chunk_ppo_ros.config.schema import range_fault

METAVARS = {int: "N", float: "NUMBER", str: "TEXT"}
"""What stands for the value of a flag, by its type."""


READERS: dict[type, Callable[[str], float]] = {int: whole_number, float: number}
"""What reads the number of a flag, by its type."""


class _Preset(argparse.Action):
    """Stores the preset, and that the user named it."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any) -> None:
        namespace.config, namespace.config_is_given = values, True


class _Names(argparse.Action):
    """Stores names. An equals sign with nothing behind it gives none, as in `--sources=`."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any) -> None:
        setattr(namespace, self.dest, [] if values == [""] else values)


def add_config_flags(
    parser: FlagParser, *, preset: str, defaults: Defaults | None = None, from_checkpoint: bool = False
) -> None:
    """Adds `--config`, `--model` and a flag for each field of each section. Absent flags leave the preset's value.

    The parsed `config_is_given` says whether the user named a preset.

    Args:
        parser: parser of the command.
        preset: preset that the flags start from without `--config`; the help shows its values.
        defaults: what the flags start from without `--config`, where it is not quite that preset.
        from_checkpoint: whether settings of a checkpoint come before those of the preset; the help says so.
    """
    presets = "; ".join(f"{name}: {text}" for name, text in ABOUT.items())
    parser.set_defaults(config_is_given=False)
    parser.defaults = defaults or Defaults(PRESETS[preset], f"preset {preset} (--config): {ABOUT[preset]}")
    parser.from_checkpoint = from_checkpoint
    parser.add_argument(
        "--config",
        action=_Preset,
        default=preset,
        choices=sorted(PRESETS),
        help=f"preset that the flags start from; by default {preset} ({presets})",
    )
    parser.add_argument(
        "--model", choices=sorted(MODELS), help="size of the model; replaces the preset's model section"
    )
    parser.epilog = "Every flag may have its section before its name: --ppo.learning_rate is --learning_rate."
    for section_field in dataclasses.fields(TrainConfig):
        section = typing.get_type_hints(TrainConfig)[section_field.name]
        group = parser.add_argument_group(section_field.name, section.__doc__)
        for field in dataclasses.fields(section):
            parser.settings_of[field.name] = section_field.name
            _add_flag(group, section_field.name, section, field)


def preset_line(parsed: argparse.Namespace) -> str:
    """Returns one line that says which preset the parsed flags start from, and what it is for."""
    return f"preset {parsed.config} (--config): {ABOUT[parsed.config]}"


def print_unused(parsed: argparse.Namespace) -> None:
    """Prints a line that names the given flags that only the nodes of the graph read, if there are any.

    The commands without nodes call it. They take all flags, so that one set of flags serves for both forms.
    """
    unused = [
        f"--{field.name}"
        for _, field in _settings()
        if field.metadata["graph_only"] and getattr(parsed, field.name) is not None
    ]
    if unused:
        verb = "has" if len(unused) == 1 else "have"
        print(f"{', '.join(unused)} {verb} no effect here, but only on the graph of nodes")


def given_settings(parsed: argparse.Namespace) -> tuple[str, ...]:
    """Returns the dotted names of the settings that parsed flags give. The size of a model stands for its section."""
    chosen = (f"{section}.{field.name}" for section, field in _settings() if getattr(parsed, field.name) is not None)
    return (*chosen, *(("model",) if parsed.model is not None else ()))


def given_at_start(parsed: argparse.Namespace) -> RunStart:
    """Returns which flags of the configuration were given at the start of a run, for the page of the run."""
    return RunStart({} if parsed.model is None else {"model": parsed.model}, given=given_settings(parsed))


def config_from_flags(
    arguments: argparse.Namespace,
    *,
    base: TrainConfig | None = None,
    stored: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> TrainConfig:
    """Returns the configuration that the parsed flags describe.

    All values are checked together at the end, because a rule of one section may need a setting of another.

    Args:
        arguments: the parsed flags.
        base: configuration whose values absent flags leave; the preset of `--config` where not given.
        stored: settings by section, such as those of a checkpoint. They replace values of `base`, and flags replace
            them.

    Raises:
        ValueError: when a value is out of range; the text names the field.
    """
    base = PRESETS[arguments.config] if base is None else base
    if arguments.model is not None:
        base = dataclasses.replace(base, model=MODELS[arguments.model])
        stored = {name: section for name, section in stored.items() if name != "model"}
    given = vars(arguments)
    values: dict[str, Mapping[str, Any]] = {}
    for section_field in dataclasses.fields(TrainConfig):
        section = typing.get_type_hints(TrainConfig)[section_field.name]
        names = [field.name for field in dataclasses.fields(section)]
        flags = {name: given[name] for name in names if given.get(name) is not None}
        values[section_field.name] = {**stored.get(section_field.name, {}), **flags}
    return config_module.from_dict(TrainConfig, values, base=base)


def config_or_exit(
    parser: argparse.ArgumentParser, parsed: argparse.Namespace, *, base: TrainConfig | None = None
) -> TrainConfig:
    """Returns the configuration as `config_from_flags` does; exits with the reason and the usage where that fails."""
    try:
        return config_from_flags(parsed, base=base)
    except ValueError as error:
        parser.error(str(error))


def _settings() -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    """Yields the section and the field of each setting."""
    for section in dataclasses.fields(TrainConfig):
        for field in dataclasses.fields(typing.get_type_hints(TrainConfig)[section.name]):
            yield section.name, field


def _add_flag(group: Any, section_name: str, section: type, field: dataclasses.Field[Any]) -> None:
    """Adds `--name` and, hidden from the help, `--section.name`. A bool also gets their forms with `no_` and `no-`."""
    hint = typing.get_type_hints(section)[field.name]
    settings: dict[str, Any] = {"dest": field.name, "default": None}
    if hint is bool:
        settings |= {"action": "store_const", "const": True}
    elif typing.get_origin(hint) is tuple:
        settings |= {"action": _Names, "nargs": "+", "metavar": "NAME"}
    else:
        choices = field.metadata["choices"]
        kind = _in_range(field, READERS[hint]) if hint in READERS else hint
        settings |= {"type": kind, "choices": choices, "metavar": None if choices else METAVARS[hint]}
    for prefix, text in (("--", field.metadata["help"]), (f"--{section_name}.", argparse.SUPPRESS)):
        group.add_argument(prefix + field.name, help=text, **settings)
        if hint is bool:
            negated = (f"{prefix}no_{field.name}", f"{prefix}no-{field.name}")
            off = argparse.SUPPRESS if text == argparse.SUPPRESS else f"turn off --{field.name}"
            group.add_argument(*negated, help=off, **{**settings, "const": False})


def _in_range(field: dataclasses.Field[Any], read: Callable[[str], float]) -> Callable[[str], float]:
    """Returns a function that reads the number of a field and refuses one out of its range, before JAX is loaded."""

    def read_in_range(text: str) -> float:
        value = read(text)
        if fault := range_fault(field, value):
            raise argparse.ArgumentTypeError(fault)
        return value

    return read_in_range
