"""Finds and reads norm_stats and tokenizers: norm_stats.json, prompt.model and fast/, in a folder or in one below it.

openpi's checkpoints have norm_stats.json in `assets/<asset_id>/` and no tokenizers. Our own have all of them in
`assets/`. `PolicyTokenizer.save` writes them.
"""

from __future__ import annotations

import dataclasses
import functools
import shutil
from pathlib import Path

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.model.tokenization.aloha_transforms import AlohaTransforms
from chunk_ppo_ros.model.tokenization.fast_tokenizer import FastTokenizer
from chunk_ppo_ros.model.tokenization.norm_stats_file import FILE
from chunk_ppo_ros.model.tokenization.normalization import NormStats
from chunk_ppo_ros.model.tokenization.policy_tokenizer import FAST_FOLDER, PROMPT_MODEL, PolicyTokenizer
from chunk_ppo_ros.model.tokenization.prompt_tokenizer import PALIGEMMA_VOCAB_SIZE, PromptTokenizer


@dataclasses.dataclass(frozen=True)
class PolicyAssets:
    """The folder that has norm_stats.json, and perhaps tokenizers beside it.

    Attributes:
        folder: the folder of norm_stats.json.
        norm_stats: the statistics of states and actions that the file holds.
    """

    folder: Path
    norm_stats: NormStats

    @classmethod
    def find(cls, assets: Path, *, asset_id: str = "") -> PolicyAssets:
        """Reads the norm_stats.json of `assets` itself or of a folder below it (openpi's `assets/<asset_id>`).

        Args:
            assets: the assets folder of a checkpoint, or `run.tokenizer_dir`.
            asset_id: the folder below `assets` to take, where `assets` itself has no such file; empty takes the only
                one.

        Raises:
            CheckpointError: when no folder has the file, when `asset_id` has none, when several have it and `asset_id`
                is empty, or when the file is damaged.
        """
        folder = _find(assets, asset_id)
        try:
            return cls(folder, NormStats.load(folder))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{folder / FILE} cannot be used: {error}") from error

    def load_tokenizer(self, model: Pi0FASTActorCriticConfig, *, tokenizer_dir: str | Path = "") -> PolicyTokenizer:
        """Returns the tokenizers with these statistics.

        A folder without a prompt.model is from openpi. With PaliGemma's vocabulary its weights were trained on
        PaliGemma's model of the prompt, so any other is refused.

        Args:
            model: the model's configuration.
            tokenizer_dir: folder of prompt.model and fast/; empty takes those beside norm_stats.json.

        Raises:
            CheckpointError: when a file is missing or does not fit the configuration.
        """
        norm_stats = self._fitted(model)
        tokenizers = Path(tokenizer_dir or self.folder)
        try:
            prompt, fast = load_tokenizers(tokenizers, model)
            if model.vocab_size == PALIGEMMA_VOCAB_SIZE and not (self.folder / PROMPT_MODEL).is_file():
                prompt.require_paligemma(tokenizers / PROMPT_MODEL)
            return PolicyTokenizer(prompt=prompt, fast=fast, norm_stats=norm_stats, config=model)
        except Exception as error:  # The libraries of the tokenizers raise many kinds of errors.
            raise CheckpointError(
                f"the tokenizers of {tokenizers} cannot be used: {error}; openpi's checkpoints have none, so name a "
                "folder with tokenizers by run.tokenizer_dir"
            ) from error

    def copy(self, target: Path) -> None:
        """Copies norm_stats.json, and the tokenizers where there are some, to a folder that does not exist."""
        target.mkdir(parents=True)
        shutil.copy(self.folder / FILE, target)
        if (self.folder / PROMPT_MODEL).is_file():
            shutil.copy(self.folder / PROMPT_MODEL, target)
        if (self.folder / FAST_FOLDER).is_dir():
            shutil.copytree(self.folder / FAST_FOLDER, target / FAST_FOLDER)

    def _fitted(self, model: Pi0FASTActorCriticConfig) -> NormStats:
        """Returns the statistics without padding, and says which dimensions never moved.

        Raises:
            CheckpointError: when they have other dimensions than the model's actions, or than its transforms need.
        """
        norm_stats = self.norm_stats.without_padding(model.action_dim)
        state, actions = norm_stats.state.dim, norm_stats.actions.dim
        if actions != model.action_dim:
            raise CheckpointError(
                f"{self.folder / FILE} must have {model.action_dim} dimensions (model.action_dim), got {state} of the "
                f"state and {actions} of the actions; it belongs to another robot: set model.action_dim, or "
                "run.asset_id"
            )
        try:
            AlohaTransforms.from_config(model).check_dims(state, actions)
        except ValueError as error:
            raise CheckpointError(f"{self.folder / FILE} does not fit the model's settings: {error}") from error
        for part, stats in (("state", norm_stats.state), ("actions", norm_stats.actions)):
            if stats.constant:
                _say_constant(self.folder / FILE, part, stats.constant)
        return norm_stats


@functools.cache
def _say_constant(file: Path, part: str, dimensions: tuple[int, ...]) -> None:
    """Says once in a process which dimensions have no range."""
    effect = {
        "state": "any other value than theirs is the lowest or the highest of the prompt's numbers",
        "actions": "the policy can only give them the value that they always had",
    }[part]
    listed = ", ".join(map(str, dimensions))
    print(f"{file}: dimensions {listed} of the {part} have q01 = q99, so they never moved: {effect}", flush=True)


def load_tokenizers(folder: Path, model: Pi0FASTActorCriticConfig) -> tuple[PromptTokenizer, FastTokenizer]:
    """Returns the prompt and FAST tokenizers of a folder.

    Args:
        folder: the folder that has prompt.model and fast/.
        model: the model's configuration, which bounds the prompt.

    Raises:
        FileNotFoundError: where a file is missing.
        ValueError: where a file is damaged or does not fit. The tokenizers' libraries raise other errors as well.
    """
    prompt = PromptTokenizer(folder / PROMPT_MODEL, max_len=model.max_prompt_len)
    return prompt, FastTokenizer.load(folder / FAST_FOLDER)


def _find(assets: Path, asset_id: str) -> Path:
    """Returns the folder of norm_stats.json, as `PolicyAssets.find` says."""
    if (assets / FILE).is_file():
        return assets
    found = {file.parent.relative_to(assets).as_posix(): file.parent for file in assets.rglob(FILE)}
    names = ", ".join(sorted(found))
    if not found:
        raise CheckpointError(f"{assets} must hold {FILE} or <asset_id>/{FILE}, got neither; copy it there")
    if asset_id not in found and (asset_id or len(found) > 1):
        raise CheckpointError(
            f"the asset id must be one of those in {assets} ({names}), got '{asset_id}'; set run.asset_id"
        )
    return found[asset_id] if asset_id else next(iter(found.values()))
