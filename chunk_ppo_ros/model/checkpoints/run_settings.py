"""Holds the settings of the run that wrote a checkpoint, as far as the checkpoint has them.

A checkpoint of an earlier release, or of another program, has some of them or none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path

from chunk_ppo_ros import config as config_module
from chunk_ppo_ros.config import TrainConfig, renamed
from chunk_ppo_ros.config.parameter_file import flatten, known_names
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.model.checkpoints.metadata_file import OTHER_RELEASE

PROMPTS = ("run.prompt", "episode.prompts", "episode.prompt_sampling")
"""The names of the settings that say which prompts episodes have."""
OF_THE_TASK = ("model.temperature", "env", "chunk_length", "robot", "reward", *PROMPTS)
"""The names of sections and settings that decide a policy's task and limits. Where they differ, results differ too."""


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """The settings of a run.

    Attributes:
        values: the value of each setting by its dotted name, for example "env.task"; sequences are lists, as in JSON.
        unknown: names of settings that the checkpoint has and this release does not know.
    """

    values: Mapping[str, object]
    unknown: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: TrainConfig) -> RunSettings:
        """Returns all settings of a configuration."""
        return cls(flatten(config_module.to_dict(config)))

    @classmethod
    def read(cls, file: Path, sections: Mapping[str, object]) -> RunSettings:
        """Returns the settings of a file, and checks their values.

        Args:
            file: the file, for error texts.
            sections: the settings by section, as `sections` returns them.

        Raises:
            CheckpointError: when a value has a wrong type or is out of range.
        """
        found, known = flatten(_present_names(file, sections)), set(known_names())
        settings = cls(
            {name: value for name, value in found.items() if name in known},
            tuple(name for name in found if name not in known),
        )
        settings.over(TrainConfig(), file=file)
        return settings

    def sections(self, *, without: Collection[str] = ()) -> dict[str, dict[str, object]]:
        """Returns the settings by section, without some sections."""
        nested: dict[str, dict[str, object]] = {}
        for name, value in self.values.items():
            section, field = name.split(".", 1)
            if section not in without:
                nested.setdefault(section, {})[field] = value
        return nested

    def only(self, names: Collection[str]) -> RunSettings:
        """Returns the settings of some sections ("env") and some settings by themselves ("run.prompt")."""
        chosen = {name: value for name, value in self.values.items() if name in names or name.split(".")[0] in names}
        return RunSettings(chosen)

    def over(self, base: TrainConfig, *, file: Path) -> TrainConfig:
        """Returns a configuration with these settings, and with those of `base` where these are missing.

        Args:
            base: the configuration that has all settings.
            file: the file of these settings, for error texts.

        Raises:
            CheckpointError: when the settings do not fit each other or `base`; the text names `file`.
        """
        try:
            return config_module.from_dict(TrainConfig, self.sections(), base=base)
        except (ValueError, TypeError) as error:
            raise CheckpointError(f"the settings in {file} cannot be used: {error}") from error

    def changes(self, config: TrainConfig) -> tuple[str, ...]:
        """Returns one text for each setting that a configuration has otherwise: "ppo.learning_rate 0.0001 -> 5e-05"."""
        now = RunSettings.of(config).values
        return tuple(f"{name} {value!r} -> {now[name]!r}" for name, value in self.values.items() if value != now[name])


NO_SETTINGS = RunSettings({})
"""The empty settings of fresh weights and of checkpoints of other programs."""


def _present_names(file: Path, sections: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """Returns the settings under their names in this release.

    It reports no renamed setting, because nobody can rename the keys of a checkpoint.
    """
    checked: dict[str, Mapping[str, object]] = {}
    for name, section in sections.items():
        if not isinstance(section, Mapping):
            raise CheckpointError(f"settings.{name} of {file} must be an object, got {section!r}; {OTHER_RELEASE}")
        checked[name] = section
    try:
        return renamed.carry_over(checked)[0]
    except ValueError as error:
        raise CheckpointError(f"the settings in {file} cannot be used: {error}; {OTHER_RELEASE}") from error
