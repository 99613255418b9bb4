"""Where weights come from: an openpi checkpoint (IL to RL), an own one (RL to RL), or nothing (from scratch).

The format is recognised from the folder itself. Weights always come with their tokenizers and norm_stats, because
token ids and actions mean nothing without them. Stored parameters are read straight to the device, and only those that
a checkpoint lacks are initialised.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import jax

from chunk_ppo_ros.agent.tokenizer_fitting import fit_tokenizer
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.model.checkpoints import checkpoint as checkpoints
from chunk_ppo_ros.model.checkpoints import compatibility
from chunk_ppo_ros.model.checkpoints.metadata_file import read_section
from chunk_ppo_ros.model.checkpoints.orbax_trees import leaf_shardings, name_leaves
from chunk_ppo_ros.model.tokenization.normalization import FILE as NORM_STATS_FILE
from chunk_ppo_ros.model.tokenization.normalization import NormStats
from chunk_ppo_ros.model.tokenization.policy_tokenizer import PolicyTokenizer


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Where a run's first weights came from; kept in `metadata.json`.

    Attributes:
        kind: "openpi", "own" or "scratch".
        path: the checkpoint they were read from, empty for scratch.
        is_fallback: whether fresh weights replaced a checkpoint that could not be loaded.
        reason: why they did.
        notes: which of its parameters are fresh all the same, and which of the checkpoint's were left out.
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
class Beginning:
    """A policy with parameters and tokenizers, ready to act or to be trained."""

    tokenizer: PolicyTokenizer
    policy: Pi0FASTActorCritic
    params: Any
    provenance: Provenance


def begin(config: TrainConfig) -> Beginning:
    """The start that the configuration asks for.

    Raises:
        CheckpointError: when `run.pretrained_checkpoint_path` cannot be loaded and `run.on_load_failure` is "fail" or
            there is a real robot, which never moves by weights that nobody chose.
    """
    path = config.run.pretrained_checkpoint_path
    if not path:
        return _from_scratch(config, Provenance("scratch"))
    try:
        return load(Path(path), config)
    except CheckpointError as error:
        if config.run.on_load_failure == "fail" or config.env.simulator == "none":
            raise
        provenance = Provenance("scratch", path, is_fallback=True, reason=str(error))
        print(_banner(str(provenance)), file=sys.stderr, flush=True)
        return _from_scratch(config, provenance)


def load(path: Path, config: TrainConfig, *, sharding: Any = None) -> Beginning:
    """A policy from an openpi or an own checkpoint, of this or another run.

    The value head of an openpi checkpoint is fresh, and so are adapters and the value head over the chunk where the
    configuration has them and the checkpoint does not; the provenance says so.

    Args:
        path: the checkpoint's folder, or its `params`.
        config: of the run; its model section must fit.
        sharding: where the parameters go, as `tree_store.load_tree` takes it.

    Raises:
        CheckpointError: when it is missing, incomplete, foreign, or does not fit the configuration.
    """
    kind = checkpoints.recognise(path)
    if kind == "own":
        compatibility.check_model_config(path, checkpoints.read_metadata(path)["model"], config.model)
        checkpoints.check_assets(path)
    tokenizer = load_tokenizer(checkpoints.assets_folder(path), config)
    policy = Pi0FASTActorCritic(config.model, tokenizer.token_ids, tokenizer.constraint())
    params, match = _load_params(path, policy, config, sharding=sharding)
    return Beginning(tokenizer, policy, params, Provenance(kind, str(path), notes=match.notes))


def checkpoint_version(path: Path) -> int:
    """Updates that made the weights of an own checkpoint; 0 for an openpi checkpoint.

    Raises:
        CheckpointError: when it is missing, incomplete or foreign.
    """
    if checkpoints.recognise(path) == "openpi":
        return 0
    return read_section(path, checkpoints.read_metadata(path), "counters", Counters).policy_version


def load_tokenizer(assets: Path, config: TrainConfig) -> PolicyTokenizer:
    """Tokenizers and norm_stats of an assets folder; `run.tokenizer_dir` replaces its tokenizers.

    Raises:
        CheckpointError: when a file is missing or does not fit the configuration.
    """
    folder = norm_stats_folder(assets, asset_id=config.run.asset_id)
    norm_stats = read_norm_stats(folder)
    dims, action_dim = (norm_stats.state.dim, norm_stats.actions.dim), config.model.action_dim
    if dims != (action_dim, action_dim):
        raise CheckpointError(
            f"{folder / NORM_STATS_FILE} must have {action_dim} dimensions (model.action_dim), got {dims[0]} of the "
            f"state and {dims[1]} of the actions; it belongs to another robot: set model.action_dim, or run.asset_id"
        )
    try:
        return PolicyTokenizer.load(folder, config.model, tokenizer_dir=config.run.tokenizer_dir)
    except Exception as error:  # the tokenizers' libraries raise many kinds
        raise CheckpointError(
            f"tokenizers of {config.run.tokenizer_dir or folder} cannot be used: {error}; openpi's checkpoints have "
            "none, name their folder by run.tokenizer_dir"
        ) from error


def read_norm_stats(folder: Path) -> NormStats:
    """The statistics of a folder.

    Raises:
        CheckpointError: when norm_stats.json is missing or damaged.
    """
    try:
        return NormStats.load(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{folder / NORM_STATS_FILE} cannot be used: {error!r}; make it by norm-stats") from error


def norm_stats_folder(assets: Path, *, asset_id: str) -> Path:
    """The folder of norm_stats.json: `assets` itself, or openpi's `assets/<asset_id>`.

    Args:
        assets: of a checkpoint, or `run.tokenizer_dir`.
        asset_id: which one, where `assets` itself has none; empty takes the only one.

    Raises:
        CheckpointError: when there is none, or several and none is named.
    """
    if (assets / NORM_STATS_FILE).is_file():
        return assets
    found = {file.parent.relative_to(assets).as_posix(): file.parent for file in assets.rglob(NORM_STATS_FILE)}
    names = ", ".join(sorted(found))
    if not found:
        raise CheckpointError(
            f"{assets} must hold {NORM_STATS_FILE} or <asset_id>/{NORM_STATS_FILE}, got neither; copy it there"
        )
    if asset_id not in found and (asset_id or len(found) > 1):
        raise CheckpointError(
            f"the asset id must be one of those in {assets} ({names}), got '{asset_id}'; set run.asset_id"
        )
    return found[asset_id] if asset_id else next(iter(found.values()))


def expected_params(policy: Pi0FASTActorCritic) -> Any:
    """The parameter tree's shapes and dtypes, without allocating it."""
    return jax.eval_shape(lambda: policy.init(key=jax.random.key(0)))


def init_leaves(policy: Pi0FASTActorCritic, names: Collection[str], *, key: jax.Array) -> dict[str, jax.Array]:
    """Those leaves of `policy.init`, by name; the compiler leaves out what the others would need."""

    def chosen(key: jax.Array) -> dict[str, jax.Array]:
        return {name: leaf for name, leaf in name_leaves(policy.init(key=key)).items() if name in names}

    return jax.jit(chosen)(key) if names else {}


def _load_params(
    path: Path, policy: Pi0FASTActorCritic, config: TrainConfig, *, sharding: Any
) -> tuple[Any, compatibility.Match]:
    expected = expected_params(policy)
    wanted = name_leaves(expected)
    match = compatibility.match_leaves(path, checkpoints.stored_leaves(path), wanted)
    places = leaf_shardings(expected, sharding)
    # Fresh ones first: what making them needs is free again before the large ones come.
    fresh = init_leaves(policy, match.fresh, key=jax.random.key(config.run.seed))
    arrays = {name: jax.device_put(leaf, places[name]) for name, leaf in fresh.items()}
    read = {name: leaf for name, leaf in wanted.items() if name not in fresh}
    arrays |= checkpoints.load_leaves(path, read, ignored=match.dropped, sharding={name: places[name] for name in read})
    return jax.tree.unflatten(jax.tree.structure(expected), [arrays[name] for name in wanted]), match


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
    return fit_tokenizer(config)


def _banner(text: str) -> str:
    line = "!" * 100
    return f"\n{line}\n!! {text}\n{line}\n"
