"""Finds and reads norm_stats and tokenizers: norm_stats.json, prompt.model and fast/, in a folder or in one below it.

openpi's checkpoints have norm_stats.json in `assets/<asset_id>/` and no tokenizers. Our own have all of them in
`assets/`. `PolicyTokenizer.save` writes them.
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.model.tokenization.fast_tokenizer import FastTokenizer
from chunk_ppo_ros.model.tokenization.normalization import FILE, NormStats
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
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CheckpointError(f"{folder / FILE} cannot be used: {error!r}; make it by norm-stats") from error

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
        self._check_dims(model.action_dim)
        tokenizers = Path(tokenizer_dir or self.folder)
        try:
            prompt, fast = load_tokenizers(tokenizers, model)
            if model.vocab_size == PALIGEMMA_VOCAB_SIZE and not (self.folder / PROMPT_MODEL).is_file():
                prompt.require_paligemma(tokenizers / PROMPT_MODEL)
            return PolicyTokenizer(prompt=prompt, fast=fast, norm_stats=self.norm_stats, config=model)
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

    def _check_dims(self, action_dim: int) -> None:
        found = (self.norm_stats.state.dim, self.norm_stats.actions.dim)
        if found != (action_dim, action_dim):
            raise CheckpointError(
                f"{self.folder / FILE} must have {action_dim} dimensions (model.action_dim), got {found[0]} of the "
                f"state and {found[1]} of the actions; it belongs to another robot: set model.action_dim, or "
                "run.asset_id"
            )


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
