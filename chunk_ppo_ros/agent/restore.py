"""Makes a policy from an openpi checkpoint, from a checkpoint of this package, or from scratch.

Weights always come with their tokenizers and norm_stats, because token ids and actions mean nothing without them.
Stored parameters are read straight to the device, and only those that a checkpoint lacks are initialized.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Collection
from pathlib import Path
from typing import NoReturn

import jax

from chunk_ppo_ros.agent.run_start.starting_checkpoint import NoCheckpoint, StartingCheckpoint
from chunk_ppo_ros.agent.run_start.tokenizer_fitting import fit_tokenizer
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import CheckpointError, ContradictedCheckpoint, MissingCheckpoint
from chunk_ppo_ros.core.made_from.history import FRESH, NO_HISTORY, History, Stage
from chunk_ppo_ros.core_jax.arrays import Params, PyTree, ShapeTree
from chunk_ppo_ros.core_jax.named_leaves import leaf_shardings, name_leaves
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.model.checkpoints import compatibility
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.metadata import Provenance
from chunk_ppo_ros.model.checkpoints.run_settings import NO_SETTINGS, RunSettings
from chunk_ppo_ros.model.tokenization.assets import PolicyAssets
from chunk_ppo_ros.model.tokenization.policy_tokenizer import PolicyTokenizer
from chunk_ppo_ros.sim.tasks.registry import prompts_of


@dataclasses.dataclass(frozen=True)
class PolicyBundle:
    """A policy with its parameters and tokenizers, ready to act or to be trained.

    Attributes:
        tokenizer: converts the robot's observations and actions to the model's tokens and back.
        policy: the model.
        params: all parameters of the model.
        provenance: where the parameters came from.
        settings: the settings of the run that wrote the checkpoint, as far as it stores them. Fresh weights have none.
        history: the stages in which the parameters were made.
    """

    tokenizer: PolicyTokenizer
    policy: Pi0FASTActorCritic
    params: Params
    provenance: Provenance
    settings: RunSettings = NO_SETTINGS
    history: History = NO_HISTORY


def initial_policy(config: TrainConfig, start: StartingCheckpoint) -> PolicyBundle:
    """Returns the policy that a run starts from.

    It is the one at `run.pretrained_checkpoint_path`, or one with random weights if that path is empty. On a real robot
    an empty path is refused, unless `run.tokenizer_dir` is set.

    Args:
        config: the run's configuration.
        start: the checkpoint at `run.pretrained_checkpoint_path`.

    Raises:
        MissingCheckpoint: when no checkpoint is at `run.pretrained_checkpoint_path`.
        ContradictedCheckpoint: when settings contradict those that the checkpoint was made with.
        CheckpointError: when the checkpoint cannot be loaded, and `run.on_load_failure` is "fail" or the robot is real.
            Also when the robot is real and both that path and `run.tokenizer_dir` are empty.
    """
    if isinstance(start, NoCheckpoint):
        return _from_scratch(config, Provenance("scratch"))
    try:
        return load(start.require(), config)
    except CheckpointError as error:
        is_of_the_user = isinstance(error, (MissingCheckpoint, ContradictedCheckpoint))
        if is_of_the_user or config.run.on_load_failure == "fail" or config.env.is_real:
            raise
        path = config.run.pretrained_checkpoint_path
        provenance = Provenance("scratch", path, is_fallback=True, reason=str(error))
        print(banner(str(provenance)), file=sys.stderr, flush=True)
        return _from_scratch(config, provenance)


def load(checkpoint: Checkpoint, config: TrainConfig, *, sharding: PyTree = None) -> PolicyBundle:
    """Returns the policy of a checkpoint of openpi or of this package, of this or another run.

    The value head of an openpi checkpoint is fresh. Adapters and the value head over the chunk are fresh if the
    configuration has them and the checkpoint does not. The provenance says what is fresh.

    Args:
        checkpoint: the checkpoint with the parameters and tokenizers.
        config: the configuration of the run, whose model section must fit.
        sharding: the devices that get the parameters, as `leaf_shardings` takes them.

    Raises:
        CheckpointError: when the checkpoint is damaged or does not fit the configuration.
    """
    tokenizer, policy = _model_of(checkpoint, config)
    params, match = _load_params(checkpoint, policy, config, sharding=sharding)
    # A resumed run may read this path again from another working folder, so it must be absolute.
    provenance = Provenance(checkpoint.kind, str(checkpoint.root.resolve()), notes=match.notes)
    return PolicyBundle(tokenizer, policy, params, provenance, checkpoint.settings, checkpoint.history)


def check(checkpoint: Checkpoint, config: TrainConfig) -> tuple[str, ...]:
    """Makes sure that `load` can load a checkpoint, without reading its parameters.

    Returns:
        What of the policy would be fresh, in words.

    Raises:
        CheckpointError: when the checkpoint is damaged or does not fit the configuration.
        SettingError: when the prompt cannot be encoded, or the task does not exist.
    """
    tokenizer, policy = _model_of(checkpoint, config)
    for prompt in prompts_of(config):
        tokenizer.check_prompt(prompt.text)
    wanted = name_leaves(expected_params(policy))
    match = compatibility.match_leaves(checkpoint.root, checkpoint.leaves, wanted)
    read = {name: leaf for name, leaf in wanted.items() if name not in match.fresh}
    with contextlib.suppress(_NothingIsWrong):
        checkpoint.load_leaves(read, ignored=match.dropped, before_reading=_stop_before_reading)
    return match.notes


class _NothingIsWrong(Exception):
    """Raised where only the reading of arrays is left, to leave it out."""


def _stop_before_reading() -> NoReturn:
    raise _NothingIsWrong


def check_settings(checkpoint: Checkpoint, config: TrainConfig) -> None:
    """Makes sure that a configuration gives a checkpoint's tokens and weights the meaning that they were made with.

    Raises:
        ContradictedCheckpoint: when settings contradict those of the checkpoint; each is listed with both values.
        CheckpointError: when assets of an own checkpoint were changed.
    """
    if checkpoint.metadata is None:
        compatibility.check_actions(checkpoint.root, checkpoint.settings, config)
    else:
        compatibility.check_model_config(checkpoint.root, checkpoint.metadata.model, config.model)
        checkpoint.check_assets()


def _model_of(checkpoint: Checkpoint, config: TrainConfig) -> tuple[PolicyTokenizer, Pi0FASTActorCritic]:
    check_settings(checkpoint, config)
    tokenizer = load_tokenizer(checkpoint.assets, config)
    return tokenizer, Pi0FASTActorCritic(config.model, tokenizer.token_ids, tokenizer.constraint())


def load_tokenizer(assets: Path, config: TrainConfig) -> PolicyTokenizer:
    """Returns the tokenizers and norm_stats of an assets folder. `run.tokenizer_dir` replaces its tokenizers.

    Raises:
        CheckpointError: when a file is missing or does not fit the configuration.
    """
    found = PolicyAssets.find(assets, asset_id=config.run.asset_id)
    return found.load_tokenizer(config.model, tokenizer_dir=config.run.tokenizer_dir)


def expected_params(policy: Pi0FASTActorCritic) -> ShapeTree:
    """Returns the shapes and dtypes of all parameters, without allocating them."""
    return jax.eval_shape(lambda: policy.init(key=jax.random.key(0)))


def init_leaves(policy: Pi0FASTActorCritic, names: Collection[str], *, key: jax.Array) -> dict[str, jax.Array]:
    """Returns the named leaves of `policy.init`. The compiler leaves out the computation of all others."""

    def chosen(key: jax.Array) -> dict[str, jax.Array]:
        return {name: leaf for name, leaf in name_leaves(policy.init(key=key)).items() if name in names}

    return jax.jit(chosen)(key) if names else {}


def _load_params(
    checkpoint: Checkpoint, policy: Pi0FASTActorCritic, config: TrainConfig, *, sharding: PyTree
) -> tuple[Params, compatibility.Match]:
    expected = expected_params(policy)
    wanted = name_leaves(expected)
    match = compatibility.match_leaves(checkpoint.root, checkpoint.leaves, wanted)
    places = leaf_shardings(expected, sharding)
    # Fresh parameters come first, so that the memory for making them is free again before the stored ones are read.
    fresh = init_leaves(policy, match.fresh, key=jax.random.key(config.run.seed))
    arrays = {name: jax.device_put(leaf, places[name]) for name, leaf in fresh.items()}
    read = {name: leaf for name, leaf in wanted.items() if name not in fresh}
    arrays |= checkpoint.load_leaves(read, ignored=match.dropped, sharding={name: places[name] for name in read})
    return jax.tree.unflatten(jax.tree.structure(expected), [arrays[name] for name in wanted]), match


def _from_scratch(config: TrainConfig, provenance: Provenance) -> PolicyBundle:
    tokenizer = _tokenizer_from_scratch(config)
    policy = Pi0FASTActorCritic(config.model, tokenizer.token_ids, tokenizer.constraint())
    params = policy.init(key=jax.random.key(config.run.seed))
    return PolicyBundle(tokenizer, policy, params, provenance, history=fresh_history(provenance))


def fresh_history(provenance: Provenance) -> History:
    """Returns the history of fresh weights."""
    return History((Stage(FRESH, str(provenance)),))


def _tokenizer_from_scratch(config: TrainConfig) -> PolicyTokenizer:
    if config.run.tokenizer_dir:
        return load_tokenizer(Path(config.run.tokenizer_dir), config)
    if config.env.is_real:
        raise CheckpointError(
            "fresh weights on a robot need run.tokenizer_dir (norm_stats.json, prompt.model, fast/), got an empty one; "
            "without a simulator there are no demonstrations to fit tokenizers on"
        )
    return fit_tokenizer(config)


def banner(text: str) -> str:
    """Returns a text between two lines that nobody overlooks."""
    line = "!" * 100
    return f"\n{line}\n!! {text}\n{line}\n"
