"""What one of our checkpoints says about itself, typed: the content of `metadata.json`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chunk_ppo_ros import config as config_module
from chunk_ppo_ros.config import Pi0FASTActorCriticConfig, PPOConfig, TrainConfig, renamed
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.model.checkpoints.metadata_file import (
    checked_checksums,
    parse_section,
    read_checked,
    section_of,
    write_checked,
)
from chunk_ppo_ros.model.checkpoints.run_settings import RunSettings

_LATER_SECTIONS = ("frozen", "settings")  # earlier releases did not write them


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Where a run's first weights came from.

    Attributes:
        kind: "openpi", "own" or "scratch".
        path: the checkpoint that they were read from; empty for scratch.
        is_fallback: whether fresh weights replaced a checkpoint that could not be loaded.
        reason: why it could not be loaded.
        notes: which of the parameters are fresh all the same, and which of the checkpoint's were left out.
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
class FrozenTowers:
    """Which towers the run did not train; the names are those of `PPOConfig`."""

    freeze_image_tower: bool = False
    freeze_text_tower: bool = False

    @classmethod
    def of(cls, ppo: PPOConfig) -> FrozenTowers:
        """The towers that a configuration does not train."""
        return cls(freeze_image_tower=ppo.freeze_image_tower, freeze_text_tower=ppo.freeze_text_tower)


@dataclasses.dataclass(frozen=True)
class Metadata:
    """The content of `metadata.json`.

    Attributes:
        model: the settings of the model; those that the writing release did not know have their defaults.
        counters: how far the run had come.
        provenance: where the run's first weights came from.
        frozen: what the run did not train; checkpoints of 0.1.0 do not say it, because nothing could be frozen.
        settings: all settings of the run, those of the model among them, which are all that earlier checkpoints say.
    """

    model: Pi0FASTActorCriticConfig
    counters: Counters
    provenance: Provenance
    frozen: FrozenTowers
    settings: RunSettings

    @classmethod
    def of(cls, config: TrainConfig, *, counters: Counters, provenance: Provenance) -> Metadata:
        """What a run with this configuration writes."""
        return cls(config.model, counters, provenance, FrozenTowers.of(config.ppo), RunSettings.of(config))


def read_metadata(file: Path) -> tuple[Metadata, dict[str, int]]:
    """The content of a `metadata.json`, and the checksums of the checkpoint's files by their paths.

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
    )
    return metadata, checked_checksums(file, sections["checksums"])


def write_metadata(file: Path, metadata: Metadata, *, step: int, checksums: Mapping[str, int]) -> None:
    """Writes what `read_metadata` reads."""
    content: dict[str, Any] = {
        "step": step,
        "model": config_module.to_dict(metadata.model),
        "frozen": dataclasses.asdict(metadata.frozen),
        "counters": dataclasses.asdict(metadata.counters),
        "provenance": dataclasses.asdict(metadata.provenance),
        "settings": metadata.settings.sections(without=["model"]),
        "checksums": dict(checksums),
    }
    write_checked(file, content)


def _read_model(file: Path, section: Mapping[str, Any]) -> Pi0FASTActorCriticConfig:
    try:
        values, _ = renamed.carry_over("model", section)  # nobody can change the keys of a checkpoint: no notice
        return config_module.from_dict(Pi0FASTActorCriticConfig, values, path="model.")
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"the model section of {file} cannot be used: {error}; use its own release") from error
