"""Reads the settings of one task from `env.task_settings`. A task declares them as a section of the configuration."""

from __future__ import annotations

import dataclasses
import typing
from typing import TYPE_CHECKING, Any, TypeVar

from chunk_ppo_ros.config import EnvConfig, from_dict
from chunk_ppo_ros.config.schema import Checked
from chunk_ppo_ros.core.errors import SettingError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SettingsT = TypeVar("SettingsT", bound="DataclassInstance")
_TRUTHS = {"true": True, "false": False}


@dataclasses.dataclass(frozen=True)
class NoSettings(Checked):
    """Declares the settings of a task that has none."""


def read_settings(env: EnvConfig, cls: type[SettingsT]) -> SettingsT:
    """Returns the settings of the configured task.

    Args:
        env: the section whose `task_settings` has entries name=value.
        cls: a frozen dataclass derived from `Checked`. Its fields are bool, int, float or str, each made by `setting`.

    Raises:
        SettingError: for an entry that is not name=value, a name that the task does not have, or a value out of range.
    """
    hints = typing.get_type_hints(cls)
    known = [field.name for field in dataclasses.fields(cls)]
    values: dict[str, Any] = {}
    for entry in env.task_settings:
        name, equals, text = entry.partition("=")
        if not equals or name not in known or name in values:
            raise SettingError(
                f"env.task_settings must be entries name=value for the task {env.task}, each name once and one of "
                f"{', '.join(known) or 'none'}, got {entry!r}; correct or remove it"
            )
        values[name] = _parse(hints[name], text, entry)
    try:
        return from_dict(cls, values)
    except ValueError as error:
        raise SettingError(f"env.task_settings of the task {env.task}: {error}") from error


def _parse(hint: type, text: str, entry: str) -> Any:
    try:
        return _TRUTHS[text.lower()] if hint is bool else hint(text)
    except (KeyError, ValueError) as error:
        raise SettingError(
            f"env.task_settings must have a value of type {hint.__name__}, got {entry!r}; correct it"
        ) from error
