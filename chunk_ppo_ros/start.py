"""Where weights come from: an openpi checkpoint (IL to RL), an own one (RL to RL), or nothing (from scratch).

The format is recognised from the folder itself. Weights always come with their tokenizers and norm_stats, because
token ids and actions mean nothing without them.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import jax

from chunk_ppo_ros import config as config_module
from chunk_ppo_ros.config import Pi0FASTActorCriticConfig, TrainConfig
from chunk_ppo_ros.errors import CheckpointError
from chunk_ppo_ros.model import checkpoint as checkpoints
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.model.tokenizer import PolicyTokenizer


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Where a run's first weights came from; kept in `metadata.json`.

    Attributes:
        kind: "openpi", "own" or "scratch".
        path: the checkpoint they were read from, empty for scratch.
        is_fallback: whether fresh weights replaced a checkpoint that could not be loaded.
        reason: why they did.
    """

    kind: str
    path: str = ""
    is_fallback: bool = False
    reason: str = ""

    def __str__(self) -> str:
        if self.is_fallback:
            return f"fresh weights, because {self.path} could not be loaded: {self.reason}"
        return {"scratch": "fresh weights"}.get(self.kind, f"{self.kind} checkpoint {self.path}")


@dataclasses.dataclass(frozen=True)
class Beginning:
    """A policy with parameters and tokenizers, ready to act or to be trained."""

    tokenizer: PolicyTokenizer
    policy: Pi0FASTActorCritic
    params: Any
    provenance: Provenance


def begin(config: TrainConfig) -> Beginning:
    """The start that the configuration asks for.

    Raises:
        CheckpointError: when `run.pretrained_checkpoint_path` cannot be loaded and `run.on_load_failure` is "fail".
    """
    path = config.run.pretrained_checkpoint_path
    if not path:
        return _from_scratch(config, Provenance("scratch"))
    try:
        return load(Path(path), config)
    except CheckpointError as error:
        if config.run.on_load_failure == "fail":
            raise
        provenance = Provenance("scratch", path, is_fallback=True, reason=str(error))
        print(_banner(str(provenance)), file=sys.stderr, flush=True)
        return _from_scratch(config, provenance)


def load(path: Path, config: TrainConfig) -> Beginning:
    """A policy from an openpi or an own checkpoint; the value head of the former is fresh.

    Raises:
        CheckpointError: when it is missing, incomplete, foreign, or does not fit the configuration.
    """
    kind = checkpoints.recognise(path)
    if kind == "own":
        check_model_config(path, checkpoints.read_metadata(path), config.model)
    tokenizer = load_tokenizer(path / "assets", config)
    policy = Pi0FASTActorCritic(config.model, tokenizer.token_ids, tokenizer.constraint())
    expected = expected_params(policy)
    if kind == "own":
        params = checkpoints.load_params(path, expected)
    else:
        fresh = policy.init(key=jax.random.key(config.run.seed))
        params = {**fresh, "actor_backbone": checkpoints.load_actor(path, expected["actor_backbone"])}
    return Beginning(tokenizer, policy, params, Provenance(kind, str(path)))


def load_tokenizer(assets: Path, config: TrainConfig) -> PolicyTokenizer:
    """Tokenizers and norm_stats of an assets folder; `run.tokenizer_dir` replaces its tokenizers.

    Raises:
        CheckpointError: when a file is missing or does not fit the configuration.
    """
    try:
        return PolicyTokenizer.load(assets, config.model, tokenizer_dir=config.run.tokenizer_dir)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"tokenizers and norm_stats of {assets} cannot be used: {error}; openpi's checkpoints have no tokenizers, "
            "name their folder by run.tokenizer_dir"
        ) from error


def expected_params(policy: Pi0FASTActorCritic) -> Any:
    """The parameter tree's shapes and dtypes, without allocating it."""
    return jax.eval_shape(lambda: policy.init(key=jax.random.key(0)))


def check_model_config(path: Path, metadata: dict[str, Any], model: Pi0FASTActorCriticConfig) -> None:
    """Compares what no parameter's shape can show: action_dim, horizon, cameras, token slots.

    Raises:
        CheckpointError: listing each setting that differs, with both values.
    """
    stored, wanted = metadata["model"], config_module.to_dict(model)
    free = {"temperature", "detach_value", "dtype"}
    differing = [
        f"model.{name}: checkpoint {stored.get(name)!r}, configuration {value!r}"
        for name, value in wanted.items()
        if name not in free and stored.get(name) != value
    ]
    if differing:
        raise CheckpointError(
            f"{path} was made with another model: {'; '.join(differing)}; use the checkpoint's settings"
        )


def _from_scratch(config: TrainConfig, provenance: Provenance) -> Beginning:
    tokenizer = _tokenizer_from_scratch(config)
    policy = Pi0FASTActorCritic(config.model, tokenizer.token_ids, tokenizer.constraint())
    return Beginning(tokenizer, policy, policy.init(key=jax.random.key(config.run.seed)), provenance)


def _tokenizer_from_scratch(config: TrainConfig) -> PolicyTokenizer:
    if config.run.tokenizer_dir:
        return load_tokenizer(Path(config.run.tokenizer_dir), config)
    if config.env.simulator == "none":
        raise CheckpointError(
            "fresh weights on a robot need run.tokenizer_dir (norm_stats.json, prompt.model, fast/), got an empty one; "
            "without a simulator there are no demonstrations to fit tokenizers on"
        )
    from chunk_ppo_ros.pretrain import fit_tokenizer

    return fit_tokenizer(config)


def _banner(text: str) -> str:
    line = "!" * 100
    return f"\n{line}\n!! {text}\n{line}\n"
