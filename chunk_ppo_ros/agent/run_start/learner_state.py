"""Makes the state that a learner begins with, for a run that is resumed or for a new run.

Updates and checkpoints are made in `learner.py`. A policy is made from a checkpoint in `restore.py`.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import jax
import jax.numpy as jnp

from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.agent.novelty import Novelty
from chunk_ppo_ros.agent.restore import PolicyBundle
from chunk_ppo_ros.agent.run_start.setting_changes import changed_settings, changes_since
from chunk_ppo_ros.agent.run_start.starting_checkpoint import StartingCheckpoint, check_is_new
from chunk_ppo_ros.agent.run_start.whole_checkpoints import way_back
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.consumption.consumed import NOTHING_CONSUMED, Consumed
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.core.files.durable_folders import sync_folder
from chunk_ppo_ros.core.progress import Counters, new_run_id
from chunk_ppo_ros.core_jax.arrays import Params, PyTree
from chunk_ppo_ros.core_jax.parameter_groups import ACTOR
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.model.backbone.freezing import FrozenTowers
from chunk_ppo_ros.model.checkpoints import compatibility
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.metadata import Provenance
from chunk_ppo_ros.model.checkpoints.run_settings import OF_THE_TASK
from chunk_ppo_ros.rl.gradient_step import OptState
from chunk_ppo_ros.rl.optimizer import LR_SCALE, make_optimizer


@dataclasses.dataclass(frozen=True)
class LearnerState:
    """The state of a run between two updates.

    Attributes:
        policy: the parameters, the tokenizers, and where the first parameters came from.
        counters: the counters of updates, chunks, steps and episodes.
        opt_state: the optimizer's state.
        consumed: the chunks that the run has trained on.
        reference: the actor that the policy is held near, or None if `ppo.ref_kl_coef` is 0.
        novelty: the state of novelty, or None if `reward.novelty_weight` is 0.
        checkpoint: the checkpoint that the run goes on from, or None for a new run.
        notes: the lines about the start that the user should see.
    """

    policy: PolicyBundle
    counters: Counters
    opt_state: OptState
    consumed: Consumed = NOTHING_CONSUMED
    reference: Params | None = None
    novelty: Novelty | None = None
    checkpoint: Checkpoint | None = None
    notes: tuple[str, ...] = ()

    @property
    def arrays(self) -> PyTree:
        """All arrays that an update changes: parameters, the state of the optimizer, and that of novelty."""
        return self.policy.params, self.opt_state, None if self.novelty is None else self.novelty.state

    def __str__(self) -> str:
        run, version, provenance = self.counters.run_id, self.counters.policy_version, self.policy.provenance
        if self.checkpoint is not None:
            return f"run {run} goes on from version {version} (started from {provenance})"
        return f"run {run} starts from {provenance} at version {version}"


def initial_state(config: TrainConfig, start: StartingCheckpoint) -> LearnerState:
    """Returns the state of the run's newest checkpoint if `run.resume` is set, else the state of a new run.

    Args:
        config: the run's configuration.
        start: the checkpoint that the section `run` of the configuration names.

    Raises:
        CheckpointError: when there is nothing to resume, another run already uses the folder, or a checkpoint that must
            be loaded cannot be.
    """
    if config.run.resume:
        newest = start.require()
        with way_back(config.run, newest.root):
            return _resumed(config, newest)
    check_is_new(config.run)
    return _new(config, start)


def _new(config: TrainConfig, start: StartingCheckpoint) -> LearnerState:
    policy = restore.initial_policy(config, start)
    reference = policy.params[ACTOR] if _has_reference(config, policy.provenance) else None
    optimizer = make_optimizer(config.ppo)
    changed = changed_settings(policy.settings.only(OF_THE_TASK), config)
    differs = f"settings differ from those of the run of {policy.provenance.path}: {', '.join(changed)}"
    return LearnerState(
        policy,
        Counters(new_run_id(config.run.exp_name)),
        optimizer.init(policy.params, trained=FrozenTowers.of(config.ppo).trained_leaves(policy.params[ACTOR])),
        reference=reference,
        novelty=Novelty(config) if config.reward.novelty_weight else None,
        notes=(differs,) if changed else (),
    )


def _resumed(config: TrainConfig, newest: Checkpoint) -> LearnerState:
    metadata = newest.require_metadata()
    sync_folder(newest.root.parent)  # The trainer may have died before it did this after writing the checkpoint.
    compatibility.check_model_config(newest.root, metadata.model, config.model, resumes=True)
    frozen = FrozenTowers.of(config.ppo)
    compatibility.check_frozen(newest.root, metadata.frozen, frozen)
    newest.check_assets()
    tokenizer = restore.load_tokenizer(newest.assets, config)
    policy = Pi0FASTActorCritic(config.model, tokenizer.token_ids, tokenizer.constraint())
    expected = restore.expected_params(policy)
    init = functools.partial(make_optimizer(config.ppo).init, trained=frozen.trained_leaves(expected[ACTOR]))
    reference = None
    if _has_reference(config, metadata.provenance):
        reference = restore.load(Checkpoint.open(Path(metadata.provenance.path)), config).params[ACTOR]
    novelty, notes = _resumed_novelty(config, newest)
    absent = {LR_SCALE: jnp.ones((), jnp.float32)}
    return LearnerState(
        PolicyBundle(tokenizer, policy, newest.load_leaves(expected), metadata.provenance, history=metadata.made_from),
        metadata.counters,
        newest.load_train_state(jax.eval_shape(init, expected), absent=absent),
        consumed=newest.load_consumed(),
        reference=reference,
        novelty=novelty,
        checkpoint=newest,
        notes=(*changes_since(newest, config), *notes),
    )


def _resumed_novelty(config: TrainConfig, newest: Checkpoint) -> tuple[Novelty | None, tuple[str, ...]]:
    """Returns the state of novelty, and a note if the checkpoint does not have it."""
    if not config.reward.novelty_weight:
        return None, ()
    novelty = Novelty(config)
    if novelty.load(newest.assets):
        return novelty, ()
    return novelty, (f"{newest.root} was trained without reward.novelty_weight, so every observation counts as new",)


def _has_reference(config: TrainConfig, provenance: Provenance) -> bool:
    """Returns whether the policy is held near the one that the run started from.

    Raises:
        CheckpointError: when `ppo.ref_kl_coef` asks for it, but the run started from fresh weights.
    """
    if config.ppo.ref_kl_coef == 0.0:
        return False
    if provenance.kind == "scratch":
        raise CheckpointError(
            f"ppo.ref_kl_coef must be 0 in a run that started from fresh weights, got {config.ppo.ref_kl_coef}; name "
            "the policy to stay near by --pretrained_checkpoint_path"
        )
    return True
