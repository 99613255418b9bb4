"""Makes a policy of some thousand parameters with its own tokenizers, and checkpoints of it in both layouts."""

from __future__ import annotations

import dataclasses
import functools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from chunk_ppo_ros.config import PRESETS, Pi0FASTActorCriticConfig, TrainConfig
from chunk_ppo_ros.config.entries.model_size import size_settings
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.model.checkpoints.metadata import Metadata, Provenance
from chunk_ppo_ros.model.checkpoints.saving import save_checkpoint, save_openpi_checkpoint
from chunk_ppo_ros.model.tokenization.fast_tokenizer import FastTokenizer
from chunk_ppo_ros.model.tokenization.normalization import compute_norm_stats
from chunk_ppo_ros.model.tokenization.policy_tokenizer import PolicyTokenizer
from chunk_ppo_ros.model.tokenization.prompt_tokenizer import PromptTokenizer, train_prompt_tokenizer
from chunk_ppo_ros.robot import aloha

MODEL = Pi0FASTActorCriticConfig(
    action_horizon=4,
    paligemma_variant="tiny",
    image_size=32,
    patch_size=16,
    cameras=("base_0_rgb",),
    max_token_len=60,
    max_action_tokens=32,
    vocab_size=1024,
    value_head_hidden_dim=8,
    tower_sizes=size_settings(
        siglip={"width": 8, "mlp_dim": 8, "num_heads": 2},
        gemma={"width": 16, "depth": 1, "mlp_dim": 8, "num_heads": 2, "head_dim": 4},
    ),
)


def configure(folder: Path, *, run: dict[str, Any] | None = None, **model: Any) -> TrainConfig:
    """Returns the debug preset with the small model, whose outputs go below `folder`. Keywords change the model."""
    base = PRESETS["debug"]
    places = {"run_dir": str(folder / "runs"), "checkpoint_root": str(folder / "checkpoints"), "wandb": False}
    return dataclasses.replace(
        base, model=dataclasses.replace(MODEL, **model), run=dataclasses.replace(base.run, **places, **(run or {}))
    )


@functools.cache
def make_tokenizer(action_dim: int = 14) -> PolicyTokenizer:
    """Returns tokenizers that are fitted on noise."""
    model = dataclasses.replace(MODEL, action_dim=action_dim)
    random = np.random.default_rng(0)
    chunks = random.uniform(-1, 1, (16, model.action_horizon, action_dim))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prompt.model"
        train_prompt_tokenizer(["reach", "reach both balls"], path)
        prompt = PromptTokenizer(path, max_len=model.max_prompt_len)
    return PolicyTokenizer(
        prompt=prompt,
        fast=FastTokenizer.fit(chunks, vocab_size=128, scale=3.0, action_limit=model.action_limit),
        norm_stats=compute_norm_stats(chunks[:, 0], chunks),
        config=model,
    )


def make_gentle_tokenizer() -> PolicyTokenizer:
    """Returns tokenizers with which every chunk stays near the pose at its start, as a real robot needs it."""
    random = np.random.default_rng(0)
    noise = random.uniform(-1, 1, (16, MODEL.action_horizon, 14))
    chunks = 0.02 * noise  # rad, relative to the pose
    chunks[..., aloha.GRIPPER_INDICES] += 0.3  # Openings are not relative.
    stats = compute_norm_stats(aloha.START_POSE + 0.5 * noise[:, 0], chunks)
    return dataclasses.replace(make_tokenizer(), norm_stats=stats)


def make_policy(model: Pi0FASTActorCriticConfig) -> Pi0FASTActorCritic:
    """Returns the policy of a configuration with 14 action dimensions."""
    tokenizer = dataclasses.replace(make_tokenizer(), config=model)
    return Pi0FASTActorCritic(model, tokenizer.token_ids, tokenizer.constraint())


@functools.cache
def make_params(model: Pi0FASTActorCriticConfig = MODEL) -> Any:
    """Returns random parameters. No leaf is zero, so that a fresh leaf shows."""
    leaves, structure = jax.tree.flatten(jax.eval_shape(lambda: make_policy(model).init(key=jax.random.key(0))))
    random = np.random.default_rng(1)
    return jax.tree.unflatten(structure, [random.uniform(0.1, 0.2, leaf.shape).astype(np.float32) for leaf in leaves])


def save_openpi(directory: Path, model: Pi0FASTActorCriticConfig = MODEL, *, asset_id: str = "trossen") -> Path:
    """Saves an openpi checkpoint with tokenizers, and returns its folder."""
    return save_openpi_checkpoint(
        directory,
        make_params(model)["actor_backbone"],
        write_assets=lambda assets: make_tokenizer().save(assets / asset_id),
    )


def save_own(
    directory: Path,
    model: Pi0FASTActorCriticConfig = MODEL,
    *,
    step: int = 0,
    config: TrainConfig | None = None,
    tokenizer: PolicyTokenizer | None = None,
) -> Path:
    """Saves a checkpoint of version 7 of another run, and returns its folder.

    Its training state means nothing, its settings are those of `config`, and `tokenizer` replaces that of
    `make_tokenizer`.
    """
    metadata = Metadata.of(
        config or dataclasses.replace(PRESETS["debug"], model=model),
        counters=Counters("other", policy_version=7),
        provenance=Provenance("scratch"),
    )
    with tempfile.TemporaryDirectory() as assets:
        (tokenizer or make_tokenizer()).save(assets)
        return save_checkpoint(
            directory,
            step=step,
            params=make_params(metadata.model),
            train_state={"count": 0},
            assets=Path(assets),
            metadata=metadata,
        )


def rewrite_json(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the content of a file of settings or metadata and drops its checksum, as the first releases had none."""
    content = json.loads(file.read_text())
    content.pop("checksum", None)
    change(content)
    file.write_text(json.dumps(content))
