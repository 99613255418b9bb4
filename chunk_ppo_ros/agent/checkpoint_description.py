"""Describes what is in a checkpoint's folder, in words and as JSON, without reading its parameters."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.core_jax.parameter_groups import ACTOR, VALUE
from chunk_ppo_ros.model.backbone.lora import is_adapter
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.run_settings import PROMPTS
from chunk_ppo_ros.model.tokenization.assets import PolicyAssets, load_tokenizers
from chunk_ppo_ros.model.tokenization.normalization import Stats

_SHOWN = (
    *("env.task", "env.simulator", "env.max_episode_chunks", "model.temperature", *PROMPTS),
    *("chunk_length.length_rule", "chunk_length.executed_steps", "robot.control_rate", "robot.gripper_convention"),
    *("robot.gripper_numbers", "recordings.arm_order", "recordings.channel_order"),
)
"""The settings that the lines for people have, beside those of the model. The JSON object has all."""

_OF_THE_MODEL = (
    *("paligemma_variant", "action_dim", "action_horizon", "image_size", "cameras", "max_token_len"),
    *("max_action_tokens", "delta_actions", "adapt_to_pi", "adapt_gripper", "action_limit", "lora_rank"),
)


@dataclasses.dataclass(frozen=True)
class CheckpointDescription:
    """Says what a checkpoint is. `str` gives the lines for people.

    Attributes:
        path: the checkpoint's folder.
        layout: what the folder is, in words.
        parameters: the number of parameters and their dtypes, in words, for each group of them.
        value_head: what there is of value heads, in words.
        settings: the settings of its run by dotted name, as far as the checkpoint has them.
        unknown_settings: the names of settings of another release, which are not read.
        history: one line for each stage in which it was made, the oldest first.
        stages: the same stages as JSON.
        norm_stats: the dimensions and the largest ranges of norm_stats.json, or why it cannot be used.
        tokenizers: what tokenizers are beside it, or why they cannot be used.
    """

    path: str
    layout: str
    parameters: tuple[str, ...]
    value_head: str
    settings: dict[str, object]
    unknown_settings: tuple[str, ...]
    history: tuple[str, ...]
    stages: dict[str, object]
    norm_stats: str
    tokenizers: str

    def __str__(self) -> str:
        shown = {name: _shown(value) for name, value in self.settings.items()}
        model = [f"{name} {shown[f'model.{name}']}" for name in _OF_THE_MODEL if f"model.{name}" in shown]
        others = [f"{name} {shown[name]}" for name in _SHOWN if shown.get(name)]
        unknown = f"settings of another release, not read: {', '.join(self.unknown_settings)}"
        return "\n".join(
            [
                f"{self.path}: {self.layout}",
                *(f"  {line}" for line in self.parameters),
                f"  value head: {self.value_head}",
                f"  model: {', '.join(model) or 'its settings are not known'}",
                f"  settings: {', '.join(others) or 'not known; flags and the preset say them where it is used'}",
                *([f"  {unknown}"] if self.unknown_settings else []),
                f"  norm_stats: {self.norm_stats}",
                f"  tokenizers: {self.tokenizers}",
                "  made in these stages:",
                *(f"    {line}" for line in self.history),
            ]
        )

    def to_json(self) -> str:
        """Returns all of it as one JSON object."""
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True)


def describe_checkpoint(path: Path) -> CheckpointDescription:
    """Returns what a checkpoint is, what it was made from, and with which settings.

    Args:
        path: the folder of a checkpoint of this package or of openpi, or its `params`.

    Raises:
        CheckpointError: when it is missing, incomplete, damaged, or of another program.
    """
    checkpoint = Checkpoint.open(path)
    return CheckpointDescription(
        path=str(checkpoint.root),
        layout=_layout(checkpoint),
        parameters=_parameters(checkpoint),
        value_head=_value_head(checkpoint),
        settings=dict(checkpoint.settings.values),
        unknown_settings=checkpoint.settings.unknown,
        history=checkpoint.history.lines(),
        stages=checkpoint.history.to_json(),
        norm_stats=_norm_stats(checkpoint),
        tokenizers=_tokenizers(checkpoint),
    )


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _layout(checkpoint: Checkpoint) -> str:
    metadata = checkpoint.metadata
    if metadata is None:
        said = "" if checkpoint.settings.values else ", without settings of this package"
        return f"a checkpoint in openpi's layout{said}"
    counters = metadata.counters
    return (
        f"a checkpoint of the run {counters.run_id}, version {counters.policy_version}, after {counters.num_steps} "
        f"control steps; the run started from {metadata.provenance}"
    )


def _parameters(checkpoint: Checkpoint) -> tuple[str, ...]:
    lines = []
    for group in (ACTOR, VALUE):
        leaves = [leaf for name, leaf in checkpoint.leaves.items() if name.startswith(f"{group}/")]
        if leaves:
            count = sum(math.prod(leaf.shape) for leaf in leaves)
            dtypes = ", ".join(sorted({str(leaf.dtype) for leaf in leaves}))
            lines.append(f"{group}: {count:,} parameters in {count_of(len(leaves), 'array')} of {dtypes}")
    if any(is_adapter(name) for name in checkpoint.leaves):
        lines.append("it has low-rank adapters")
    return tuple(lines)


def _value_head(checkpoint: Checkpoint) -> str:
    names = [name for name in checkpoint.leaves if name.startswith(f"{VALUE}/")]
    if not names:
        return "none; it starts fresh"
    has_chunk = any(name.startswith(f"{VALUE}/chunk/") for name in names)
    return "of observations and of action chunks" if has_chunk else "of observations"


def _assets(checkpoint: Checkpoint) -> PolicyAssets:
    return PolicyAssets.find(checkpoint.assets, asset_id=str(checkpoint.settings.values.get("run.asset_id", "")))


def _norm_stats(checkpoint: Checkpoint) -> str:
    try:
        found = _assets(checkpoint)
    except CheckpointError as error:
        return f"cannot be used: {error}"
    stats = found.norm_stats
    return f"{found.folder}: state {_range(stats.state)}; actions {_range(stats.actions)}"


def _range(stats: Stats) -> str:
    low, high, narrow = stats.q01.min(), stats.q99.max(), (stats.q99 - stats.q01).min()
    return f"of {stats.dim} dimensions, q01 from {low:.3g}, q99 to {high:.3g}, smallest range {narrow:.3g}"


def _tokenizers(checkpoint: Checkpoint) -> str:
    try:
        folder = _assets(checkpoint).folder
    except CheckpointError:
        return "not looked for, because norm_stats cannot be used"
    model = checkpoint.settings.only(["model"]).over(TrainConfig(), file=checkpoint.root).model
    try:
        prompt, fast = load_tokenizers(folder, model)
    except FileNotFoundError:
        return "none; name their folder by --tokenizer_dir"
    except Exception as error:  # The libraries of the tokenizers raise many kinds of errors.
        return f"cannot be used: {error}"
    return f"prompt of {prompt.vocab_size} pieces; FAST of {fast.vocab_size} tokens, scale {fast.scale:g}"
