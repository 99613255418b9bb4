"""What of a checkpoint and of a configuration must agree, and what may be new, left out or different.

Sizes are compared by what the variant makes of them, so naming a variant's own size changes nothing. Settings that
say how a policy is used rather than what it is may differ; so may those that nothing in either model reads.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from chunk_ppo_ros import config as config_module
from chunk_ppo_ros.config import Pi0FASTActorCriticConfig, TrainConfig, model_size
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.model.backbone.lora import is_adapter
from chunk_ppo_ros.model.backbone.variants import resolve_variant
from chunk_ppo_ros.model.checkpoints.run_settings import RunSettings

_FREE = {"paligemma_variant", "tower_sizes", "temperature", "detach_value", "dtype", "constrain_decoding"}
_ACTION_SETTINGS = ("model.action_dim", "model.action_horizon", "model.delta_actions", "model.adapt_to_pi")
_CHUNK_HEAD = "value_head/chunk/"
_VALUE_HEAD = "value_head/"


@dataclasses.dataclass(frozen=True)
class Match:
    """How a checkpoint's parameters fill a model's; those in neither set are read.

    Attributes:
        fresh: names of the model's leaves that the checkpoint lacks and that start fresh.
        dropped: names of the checkpoint's leaves that the model has no use for.
        notes: both in words, one entry a group.
    """

    fresh: frozenset[str] = frozenset()
    dropped: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def match_leaves(path: Path, stored: Collection[str], wanted: Collection[str]) -> Match:
    """Decides about whole groups of leaves that one side lacks; any other difference is left to the check of shapes.

    The value heads and the adapters start fresh where the checkpoint has nothing of them. A value head over the chunk
    that the model lacks is left out. Adapters are never left out: the policy would be another one.

    Args:
        path: the checkpoint, for error texts.
        stored: names of its parameters.
        wanted: names of the model's parameters.

    Raises:
        CheckpointError: when the checkpoint has adapters and the model has none.
    """
    has_adapters = any(is_adapter(name) for name in wanted)
    if any(is_adapter(name) for name in stored) and not has_adapters:
        raise CheckpointError(
            f"{path} has low-rank adapters, so model.lora_rank must be theirs, got a model without; set it, or merge "
            "them: python -m chunk_ppo_ros export"
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
    """Compares the settings that a checkpoint was made with with the configured ones.

    Args:
        path: the checkpoint, for error texts.
        stored: what its metadata say of the model.
        model: the configured one.
        resumes: nothing may start fresh or be left out, because the optimizer's state must fit.

    Raises:
        CheckpointError: listing each setting that differs, with both values.
    """
    found = _meaning(stored, resumes=resumes)
    wanted = _meaning(model, resumes=resumes)
    differing = [
        f"model.{name}: checkpoint {found[name]!r}, configuration {value!r}"
        for name, value in wanted.items()
        if name in found and found[name] != value
    ]
    if differing:
        raise CheckpointError(
            f"{path} was made with another model: {'; '.join(differing)}; use the checkpoint's settings"
        )


def check_actions(path: Path, settings: RunSettings, config: TrainConfig) -> None:
    """Refuses a model to which the action tokens of a checkpoint mean other actions; sizes are told by the shapes.

    Args:
        path: the checkpoint, for error texts.
        settings: what it says of the run that wrote it; settings that it does not say are not compared.
        config: the configuration that is to use it.

    Raises:
        CheckpointError: listing each setting that differs, with both values.
    """
    names = [*_ACTION_SETTINGS, *(["model.adapt_gripper"] if config.model.adapt_to_pi else [])]
    differing = settings.only(names).changes(config)
    if differing:
        raise CheckpointError(
            f"{path} was made for other actions (checkpoint -> configuration): {'; '.join(differing)}; use the "
            "checkpoint's settings"
        )


def _meaning(model: Pi0FASTActorCriticConfig, *, resumes: bool) -> dict[str, Any]:
    """The settings that matter to this model, with the size of each tower in the place of `tower_sizes`."""
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
