"""Decides whether a checkpoint fits a configuration, and which parameters may be new or left out.

The sizes that result from the variant and the settings are compared, so a configuration may name a variant's own sizes.
Settings that say how a policy is used may differ, and so may settings that the model does not read.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Collection
from pathlib import Path

from chunk_ppo_ros import config as config_module
from chunk_ppo_ros.config import Pi0FASTActorCriticConfig, TrainConfig
from chunk_ppo_ros.config.entries import model_size
from chunk_ppo_ros.config.flags import command_line
from chunk_ppo_ros.core.errors import CheckpointError, ContradictedCheckpoint
from chunk_ppo_ros.core_jax.parameter_groups import VALUE
from chunk_ppo_ros.model.backbone.freezing import FrozenTowers
from chunk_ppo_ros.model.backbone.lora import is_adapter
from chunk_ppo_ros.model.backbone.variants import resolve_variant
from chunk_ppo_ros.model.checkpoints.run_settings import RunSettings

_FREE = {"paligemma_variant", "tower_sizes", "temperature", "detach_value", "dtype", "constrain_decoding"}
_MEANINGS = (
    *("model.action_dim", "model.action_horizon", "model.delta_actions", "model.adapt_to_pi"),
    *("model.cameras", "model.image_size"),
)
_VALUE_HEAD = f"{VALUE}/"
_CHUNK_HEAD = f"{_VALUE_HEAD}chunk/"


@dataclasses.dataclass(frozen=True)
class Match:
    """The parameters of a model that a checkpoint lacks, and the parameters of the checkpoint that the model lacks.

    Attributes:
        fresh: names of the model's leaves that the checkpoint lacks and that start fresh.
        dropped: names of the checkpoint's leaves that the model does not use.
        notes: both sets in words, one entry for each group of leaves.
    """

    fresh: frozenset[str] = frozenset()
    dropped: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def match_leaves(path: Path, stored: Collection[str], wanted: Collection[str]) -> Match:
    """Decides which leaves start fresh and which are left out, where only one side has a whole group of leaves.

    The value heads and the adapters start fresh where the checkpoint has none of their leaves. A value head over the
    chunk that the model lacks is left out. Adapters are never left out, because the policy would be another one. The
    check of shapes finds every other difference.

    Args:
        path: the checkpoint, for error texts.
        stored: names of the checkpoint's parameters.
        wanted: names of the model's parameters.

    Raises:
        CheckpointError: when the checkpoint has adapters and the model has none.
    """
    has_adapters = any(is_adapter(name) for name in wanted)
    if any(is_adapter(name) for name in stored) and not has_adapters:
        raise CheckpointError(
            f"{path} has low-rank adapters, so model.lora_rank must be theirs, got a model without; set it, or merge "
            f"them: {command_line('export')}"
        )
    fresh: set[str] = set()
    notes = []
    for text, is_of_group in _FRESH_GROUPS.items():
        missing = {name for name in wanted if is_of_group(name)}
        if missing - fresh and not any(is_of_group(name) for name in stored):
            fresh |= missing
            notes.append(text)
    dropped = {name for name in stored if name.startswith(_CHUNK_HEAD)}
    if not dropped or any(name.startswith(_CHUNK_HEAD) for name in wanted):
        return Match(frozenset(fresh), notes=tuple(notes))
    return Match(frozenset(fresh), frozenset(dropped), (*notes, "its value head over the chunk is left out"))


_FRESH_GROUPS: dict[str, Callable[[str], bool]] = {
    "the value head is fresh": lambda name: name.startswith(_VALUE_HEAD),
    "the value head over the chunk is fresh": lambda name: name.startswith(_CHUNK_HEAD),
    "the adapters are fresh": is_adapter,
}


def check_model_config(
    path: Path, stored: Pi0FASTActorCriticConfig, model: Pi0FASTActorCriticConfig, *, resumes: bool = False
) -> None:
    """Compares the model settings of a checkpoint with the configured ones.

    Args:
        path: the checkpoint, for error texts.
        stored: the model's settings in the checkpoint's metadata.
        model: the configured model's settings.
        resumes: whether a run goes on from the checkpoint. Then no parameter may start fresh or be left out, because
            the optimizer's state must fit.

    Raises:
        ContradictedCheckpoint: when settings differ; each is listed with both values.
    """
    found = _meaning(stored, resumes=resumes)
    wanted = _meaning(model, resumes=resumes)
    differing = [
        f"model.{name}: checkpoint {found[name]!r}, configuration {value!r}"
        for name, value in wanted.items()
        if name in found and found[name] != value
    ]
    if differing:
        raise ContradictedCheckpoint(
            f"{path} was made with another model: {'; '.join(differing)}; use the checkpoint's settings"
        )


def check_frozen(path: Path, stored: FrozenTowers, frozen: FrozenTowers) -> None:
    """Refuses to resume with other towers frozen, because the optimizer state covers only the trained parameters.

    Args:
        path: the checkpoint, for error texts.
        stored: the towers that the checkpoint's run did not train.
        frozen: the towers that the configuration does not train.

    Raises:
        CheckpointError: when a setting differs. The text lists each with both values.
    """
    before, wanted = dataclasses.asdict(stored), dataclasses.asdict(frozen)
    differing = [
        f"ppo.{name}: checkpoint {before[name]}, configuration {value}"
        for name, value in wanted.items()
        if before[name] != value
    ]
    if differing:
        raise CheckpointError(
            f"{path} must be resumed with the towers that it froze, but {'; '.join(differing)}; its optimizer state "
            "covers only what was trained, so keep its settings, or start a new run from it by "
            "--pretrained_checkpoint_path"
        )


def check_actions(path: Path, settings: RunSettings, config: TrainConfig) -> None:
    """Refuses a configuration that decodes a checkpoint's action tokens to other actions, or shows it other images.

    Args:
        path: the checkpoint, for error texts.
        settings: the settings of the run that wrote the checkpoint; settings that it does not have are not compared.
        config: the configuration that is to use the checkpoint.

    Raises:
        ContradictedCheckpoint: when settings differ; each is listed with both values.
    """
    grippers = ["model.adapt_gripper", "model.adapt_gripper_numbers"] if config.model.adapt_to_pi else []
    names = [*_MEANINGS, *grippers]
    differing = settings.only(names).changes(config)
    if differing:
        raise ContradictedCheckpoint(
            f"{path} was made for other actions or images (checkpoint -> configuration): {'; '.join(differing)}; use "
            "the checkpoint's settings"
        )


def _meaning(model: Pi0FASTActorCriticConfig, *, resumes: bool) -> dict[str, object]:
    """Returns the settings that this model reads, with the size of each tower in the place of `tower_sizes`."""
    variant = resolve_variant(model)
    settings = {name: value for name, value in config_module.to_dict(model).items() if name not in _FREE}
    for name in model_size.NAMES:
        settings[f"tower_sizes {name}"] = operator.attrgetter(name)(variant)
    settings["lora_rank"] = variant.gemma.lora_rank
    unused = [
        *([] if variant.gemma.lora_rank else ["lora_alpha"]),
        *([] if variant.gemma.lora_rank or resumes else ["lora_rank"]),
        *([] if model.chunk_value != "none" else ["max_value_steps"]),
        *([] if model.chunk_value != "none" or resumes else ["chunk_value"]),
        *([] if model.value_bins > 1 else ["value_min", "value_max"]),
    ]
    return {name: value for name, value in settings.items() if name not in unused}
