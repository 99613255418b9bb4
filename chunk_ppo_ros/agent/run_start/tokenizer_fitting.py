"""Fits tokenizers and norm_stats to demonstrations, to recorded chunks, or to random motions."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import SettingError, UserError
from chunk_ppo_ros.model.tokenization.aloha_transforms import AlohaTransforms
from chunk_ppo_ros.model.tokenization.assets import load_tokenizers
from chunk_ppo_ros.model.tokenization.fast_tokenizer import FastTokenizer
from chunk_ppo_ros.model.tokenization.normalization import NormStats, clip_actions, compute_norm_stats
from chunk_ppo_ros.model.tokenization.policy_tokenizer import PROMPT_MODEL, PolicyTokenizer
from chunk_ppo_ros.model.tokenization.prompt_tokenizer import PromptTokenizer, train_prompt_tokenizer
from chunk_ppo_ros.sim.experts.demonstrations import collect_demonstrations
from chunk_ppo_ros.sim.experts.random_motion import draw_motions
from chunk_ppo_ros.sim.tasks.registry import make_task, prompts_of


class Motions(Protocol):
    """The N chunks that tokenizers are fitted to. `Demonstrations` and `RecordedChunks` have this form.

    Attributes:
        state: float32 [N, S], the state at the start of each chunk, in rad with normalized grippers.
        actions: float32 [N, H, D], absolute joint targets, in rad with normalized grippers.
        prompts: the tasks in words, of any number.
    """

    @property
    def state(self) -> np.ndarray: ...

    @property
    def actions(self) -> np.ndarray: ...

    @property
    def prompts(self) -> Sequence[str]: ...


def fit_tokenizer(config: TrainConfig) -> PolicyTokenizer:
    """Fits tokenizers and norm_stats for a new policy. This needs no training and no images.

    They are fitted to demonstrations of the task's scripted expert. If the task has none, they are fitted to random
    smooth motions, and a printed line says so.

    Raises:
        UserError: when the tokenizers of `run.tokenizer_dir` are missing or do not fit the model.
    """
    check_tokenizers(config)
    task = make_task(config.env)
    if task.make_expert(config) is not None:
        return fit(collect_demonstrations(config, render=False), config)
    motions = draw_motions(config, prompts=tuple(prompt.text for prompt in prompts_of(config)))
    print(
        f"the task {config.env.task} has no scripted expert: norm_stats and FAST tokens are fitted to "
        f"{len(motions.actions)} chunks of random smooth motions within the joint limits, coarser ones than motions of "
        "the task would give; imitate recorded episodes (pretrain --episodes) for better ones",
        flush=True,
    )
    return fit(motions, config)


def fit(demonstrations: Motions, config: TrainConfig) -> PolicyTokenizer:
    """Computes norm_stats of demonstrations, and reads or fits the FAST and prompt tokenizers.

    The tokenizers are read from `run.tokenizer_dir`. If it is empty, they are fitted to the demonstrations.

    Raises:
        UserError: when the tokenizers of `run.tokenizer_dir` are missing or do not fit the model.
    """
    transforms = AlohaTransforms.from_config(config.model)
    actions = transforms.encode_actions(demonstrations.actions, demonstrations.state)
    norm_stats = compute_norm_stats(transforms.encode_state(demonstrations.state), actions)
    if not config.run.tokenizer_dir:
        prompts = sorted(set(demonstrations.prompts))
        return _fit_tokenizers(norm_stats.actions.normalize(actions), prompts, norm_stats, config)
    return _read_tokenizers(norm_stats, config)


def check_tokenizers(config: TrainConfig) -> None:
    """Reads the tokenizers of `run.tokenizer_dir`, if it is given, before the work that needs them begins.

    Raises:
        UserError: when they are missing or do not fit the model.
    """
    if config.run.tokenizer_dir:
        nothing = np.zeros((1, config.model.action_dim), np.float32)
        _read_tokenizers(compute_norm_stats(nothing, nothing[:, None]), config)


def _read_tokenizers(norm_stats: NormStats, config: TrainConfig) -> PolicyTokenizer:
    folder = Path(config.run.tokenizer_dir)
    try:
        prompt, fast = load_tokenizers(folder, config.model)
        return PolicyTokenizer(prompt=prompt, fast=fast, norm_stats=norm_stats, config=config.model)
    except Exception as error:  # The libraries of the tokenizers raise many kinds of errors.
        raise UserError(f"the tokenizers of {folder} (run.tokenizer_dir) cannot be used: {error}") from error


def _fit_tokenizers(
    normalized: np.ndarray, prompts: Sequence[str], norm_stats: NormStats, config: TrainConfig
) -> PolicyTokenizer:
    """Fits tokenizers to normalized chunks [N, H, D] and prompts.

    Raises:
        SettingError: when the settings or the prompts allow none.
    """
    try:
        return _fitted(normalized, prompts, norm_stats, config)
    except ValueError as error:
        raise SettingError(f"no tokenizers can be fitted: {error}") from error


def _fitted(
    normalized: np.ndarray, prompts: Sequence[str], norm_stats: NormStats, config: TrainConfig
) -> PolicyTokenizer:
    settings, model = config.pretrain, config.model
    clipped, _ = clip_actions(normalized, model.action_limit)
    fast = FastTokenizer.fit(
        clipped, vocab_size=settings.fast_vocab_size, scale=settings.fast_scale, action_limit=model.action_limit
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / PROMPT_MODEL
        train_prompt_tokenizer(prompts, path, vocab_size=settings.prompt_vocab_size)
        prompt = PromptTokenizer(path, max_len=model.max_prompt_len)
    return PolicyTokenizer(prompt=prompt, fast=fast, norm_stats=norm_stats, config=model)
