"""Reads and writes `metadata.json`, in which an own checkpoint has its run's settings, counters and origin."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from chunk_ppo_ros import config as config_module
from chunk_ppo_ros.config import Pi0FASTActorCriticConfig, TrainConfig, renamed
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.core.made_from.history import FOREIGN, FRESH, NO_HISTORY, TRAINING, History, Stage
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.model.backbone.freezing import FrozenTowers
from chunk_ppo_ros.model.checkpoints.metadata_file import (
    OTHER_RELEASE,
    checked_checksums,
    parse_section,
    read_checked,
    section_of,
    write_checked,
)
from chunk_ppo_ros.model.checkpoints.run_settings import RunSettings

_LATER_SECTIONS = ("frozen", "settings", "made_from")  # Earlier releases did not write these sections.


@dataclasses.dataclass(frozen=True)
class Provenance:
    """The origin of the first weights of a run.

    Attributes:
        kind: "openpi", "own" or "scratch".
        path: the checkpoint that the weights were read from, as an absolute path. Where it could not be loaded, this
            is the path that was named. It is empty for scratch without a path.
        is_fallback: whether fresh weights replaced a checkpoint that could not be loaded.
        reason: why the checkpoint could not be loaded.
        notes: texts that say which parameters are fresh and which of the checkpoint's are left out, where one was read.
    """

    kind: str
    path: str = ""
    is_fallback: bool = False
    reason: str = ""
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.is_fallback:
            return f"fresh weights, because {self.path} could not be loaded: {self.reason}"
        if self.kind == "scratch":
            return "fresh weights"
        return "; ".join([f"{self.kind} checkpoint {self.path}", *self.notes])


@dataclasses.dataclass(frozen=True)
class Metadata:
    """The content of `metadata.json`.

    Attributes:
        model: the settings of the model; those that the release that wrote it did not know have their defaults.
        counters: the numbers of updates, chunks and control steps that the run has done so far.
        provenance: where the run's first weights came from.
        frozen: the towers that the run did not train. Checkpoints of 0.1.0 do not have it, because that release
            trained both towers.
        settings: all settings of the run. Earlier checkpoints have only those of the model.
        made_from: the stages in which the checkpoint was made that the run started from. Earlier checkpoints have none.
    """

    model: Pi0FASTActorCriticConfig
    counters: Counters
    provenance: Provenance
    frozen: FrozenTowers
    settings: RunSettings
    made_from: History = NO_HISTORY

    @classmethod
    def of(
        cls, config: TrainConfig, *, counters: Counters, provenance: Provenance, made_from: History = NO_HISTORY
    ) -> Metadata:
        """Returns the metadata that a run with this configuration writes."""
        return cls(config.model, counters, provenance, FrozenTowers.of(config.ppo), RunSettings.of(config), made_from)

    @property
    def history(self) -> History:
        """The stages in which this checkpoint was made. The last one is its own run."""
        before = self.made_from
        if not before.stages:
            kind = FRESH if self.provenance.kind == "scratch" else FOREIGN
            text = f"{self.provenance}" if kind == FRESH else f"{self.provenance}, whose making is not known"
            before = History((Stage(kind, text),))
        values, counters = self.settings.values, self.counters
        task = f" on task {values['env.task']}, simulator {values['env.simulator']}" if "env.task" in values else ""
        made = f"{count_of(counters.policy_version, 'update')}, {count_of(counters.num_steps, 'step')}"
        text = f"chunk PPO{task}, run {counters.run_id}, {made}"
        return before.then(Stage(TRAINING, text))


def read_metadata(file: Path) -> tuple[Metadata, dict[str, int]]:
    """Returns the content of a `metadata.json`, and the checksums of the checkpoint's files by their paths.

    Raises:
        CheckpointError: when it is missing, damaged, changed, of another format version, or a section does not fit.
    """
    content = read_checked(file)
    for name in _LATER_SECTIONS:
        content.setdefault(name, {})
    sections = {
        name: section_of(file, content, name)
        for name in ("model", "counters", "provenance", "checksums", *_LATER_SECTIONS)
    }
    model = _read_model(file, sections["model"])
    metadata = Metadata(
        model=model,
        counters=parse_section(file, "counters", sections["counters"], Counters),
        provenance=parse_section(file, "provenance", sections["provenance"], Provenance),
        frozen=parse_section(file, "frozen", sections["frozen"], FrozenTowers),
        settings=RunSettings.read(file, {**sections["settings"], "model": config_module.to_dict(model)}),
        made_from=read_history(file, sections["made_from"]),
    )
    return metadata, checked_checksums(file, sections["checksums"])


def write_metadata(file: Path, metadata: Metadata, *, step: int, checksums: Mapping[str, int]) -> None:
    """Writes a `metadata.json` that `read_metadata` reads.

    Args:
        file: the file to write.
        metadata: its content.
        step: the number in the checkpoint's name, which is the policy version.
        checksums: CRC-32 of the checkpoint's files by their paths.
    """
    content: dict[str, object] = {
        "step": step,
        "model": config_module.to_dict(metadata.model),
        "frozen": dataclasses.asdict(metadata.frozen),
        "counters": dataclasses.asdict(metadata.counters),
        "provenance": dataclasses.asdict(metadata.provenance),
        "settings": metadata.settings.sections(without=["model"]),
        "made_from": metadata.made_from.to_json(),
        "checksums": dict(checksums),
    }
    write_checked(file, content)


def read_history(file: Path, section: Mapping[str, object]) -> History:
    """Returns the stages in which a checkpoint was made.

    Args:
        file: the file of the section, for error texts.
        section: the section `made_from`; empty where the file has none.

    Raises:
        CheckpointError: when something is missing or has a wrong type.
    """
    try:
        return History.of_json(section)
    except ValueError as error:
        raise CheckpointError(f"the section made_from of {file} cannot be used: {error}; {OTHER_RELEASE}") from error


def _read_model(file: Path, section: Mapping[str, object]) -> Pi0FASTActorCriticConfig:
    try:
        values, _ = renamed.carry_over({"model": section})  # Nobody can rename keys in a checkpoint, so nobody is told.
        return config_module.from_dict(Pi0FASTActorCriticConfig, values["model"], path="model.")
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"the model section of {file} cannot be used: {error}; {OTHER_RELEASE}") from error
