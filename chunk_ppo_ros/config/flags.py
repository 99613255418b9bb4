"""The configuration on the command line: presets, and every field by its own flag.

Flags are made from the dataclasses of `config.py`; the field names are unique over all sections, so that
`--learning_rate` needs no prefix. Checking of values is the configuration's own.
"""

from __future__ import annotations

import argparse
import dataclasses
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from chunk_ppo_ros import config as config_module
from chunk_ppo_ros.config import MODELS, PRESETS, TrainConfig


def add_config_flags(parser: argparse.ArgumentParser, *, preset: str) -> None:
    """Adds `--config`, `--model` and a flag for each field of each section; absent flags leave the preset's value."""
    parser.add_argument("--config", default=preset, choices=sorted(PRESETS), help="preset that the flags start from")
    parser.add_argument(
        "--model", choices=sorted(MODELS), help="size of the model; replaces the preset's model section"
    )
    for section_field in dataclasses.fields(TrainConfig):
        section = typing.get_type_hints(TrainConfig)[section_field.name]
        group = parser.add_argument_group(section_field.name, section.__doc__)
        for field in dataclasses.fields(section):
            _add_flag(group, section, field)


def config_from_flags(arguments: argparse.Namespace, *, base: TrainConfig | None = None) -> TrainConfig:
    """The configuration that the parsed flags describe.

    Args:
        arguments: the parsed flags.
        base: what absent flags leave; the preset of `--config` where not given.

    Raises:
        ValueError: when a value is out of range; the text names the field.
    """
    base = PRESETS[arguments.config] if base is None else base
    if arguments.model is not None:
        base = dataclasses.replace(base, model=MODELS[arguments.model])
    given = vars(arguments)
    values: dict[str, Mapping[str, Any]] = {}
    for section_field in dataclasses.fields(TrainConfig):
        section = typing.get_type_hints(TrainConfig)[section_field.name]
        names = [field.name for field in dataclasses.fields(section)]
        values[section_field.name] = {name: given[name] for name in names if given.get(name) is not None}
    return config_module.from_dict(TrainConfig, values, base=base)


def parse_config(arguments: Sequence[str], *, preset: str, program: str, description: str) -> TrainConfig:
    """Parses flags into a configuration; exits with the usage and the reason when they do not fit."""
    parser = argparse.ArgumentParser(prog=program, description=description, allow_abbrev=False)
    add_config_flags(parser, preset=preset)
    parsed = parser.parse_args(arguments)
    return config_or_exit(parser, parsed)


def config_or_exit(
    parser: argparse.ArgumentParser, parsed: argparse.Namespace, *, base: TrainConfig | None = None
) -> TrainConfig:
    """See `config_from_flags`; exits with the usage and the reason when the flags do not fit."""
    try:
        return config_from_flags(parsed, base=base)
    except ValueError as error:
        parser.error(str(error))


def _add_flag(group: Any, section: type, field: dataclasses.Field[Any]) -> None:
    hint = typing.get_type_hints(section)[field.name]
    flag, help_text = f"--{field.name}", field.metadata["help"]
    if hint is bool:
        negated = [f"--no_{field.name}", f"--no-{field.name}"]
        group.add_argument(flag, action="store_const", const=True, default=None, help=help_text)
        group.add_argument(*negated, action="store_const", const=False, default=None, dest=field.name)
    elif typing.get_origin(hint) is tuple:
        group.add_argument(flag, nargs="+", metavar="NAME", help=help_text)
    else:
        group.add_argument(flag, type=hint, choices=field.metadata["choices"], help=f"{help_text} ({field.default})")
