"""The learner: transitions in, a new policy version and its checkpoint out. No ROS here.

Not here: the arithmetic of PPO (`rl/`) and where transitions come from (`rollout_worker.py`, `nodes/trainer/`).
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from chunk_ppo_ros import config as config_module
from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.agent.novelty import Novelty
from chunk_ppo_ros.agent.transition_checks import blank_rollout, check_transition
from chunk_ppo_ros.config import PPOConfig, RunConfig, TrainConfig
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.model.backbone.freezing import trained_leaves
from chunk_ppo_ros.model.checkpoints import checkpoint as checkpoints
from chunk_ppo_ros.model.checkpoints import compatibility
from chunk_ppo_ros.model.checkpoints.metadata_file import read_section
from chunk_ppo_ros.model.tokenization.policy_tokenizer import PolicyTokenizer
from chunk_ppo_ros.rewards.terms import mean_shares
from chunk_ppo_ros.rl.gradient_step import committed
from chunk_ppo_ros.rl.optimizer import ACTOR, RATE_SCALE, make_optimizer
from chunk_ppo_ros.rl.rollout import RolloutBatch, stack_transitions
from chunk_ppo_ros.rl.update import PPOUpdate
from chunk_ppo_ros.robot.chunk_length import length_metrics


def checkpoint_directory(run: RunConfig) -> Path:
    """The folder of a run's `step_<N>` checkpoints."""
    return Path(run.checkpoint_root) / (run.checkpoint_dir or run.exp_name)


class Learner:
    """Weights, optimizer state and counters of a run, and what advances them.

    Made by `Learner.start`, which resumes, loads a start or begins afresh, as the configuration says.
    """

    def __init__(
        self,
        config: TrainConfig,
        tokenizer: PolicyTokenizer,
        policy: Pi0FASTActorCritic,
        *,
        params: Any,
        counters: Counters,
        provenance: restore.Provenance,
        opt_state: Any = None,
        reference: Any = None,
    ) -> None:
        self._config = config
        self._tokenizer = tokenizer
        self._policy = policy
        self._params = committed(params)
        self._optimizer = make_optimizer(config.ppo)
        trained = trained_leaves(self._params[ACTOR], config.ppo)
        fresh = opt_state is None
        self._opt_state = committed(self._optimizer.init(self._params, trained=trained) if fresh else opt_state)
        self._update = PPOUpdate(
            policy.evaluate,
            self._optimizer,
            config.ppo,
            trained=trained,
            prepare=policy.embed_observation if config.ppo.freeze_image_tower else None,
            dtype=config.model.dtype,
            reference=reference,
        )
        self._novelty = Novelty(config) if config.reward.novelty_weight else None
        self._counters = counters
        self.provenance = provenance
        self.directory = checkpoint_directory(config.run)
        self.checkpoint = self.directory / f"step_{counters.policy_version}"

    @classmethod
    def start(cls, config: TrainConfig) -> Learner:
        """Resumes the run, or begins it from its start, and has a checkpoint of the present version on disk.

        Raises:
            CheckpointError: when a start or resume that must succeed does not, or the folder is taken by another run.
        """
        directory = checkpoint_directory(config.run)
        newest = checkpoints.newest_checkpoint(directory)
        if config.run.resume:
            if newest is None:
                raise CheckpointError(
                    f"{directory} holds no finished checkpoint to resume from; start without --resume"
                )
            return cls._resume(config, newest)
        if newest is not None:
            raise CheckpointError(
                f"{directory} already holds {newest.name} of an earlier run; "
                "go on with --resume, or choose another --exp_name"
            )
        beginning = restore.begin(config)
        reference = beginning.params[ACTOR] if _has_reference(config, beginning.provenance) else None
        run_id = f"{config.run.exp_name}-{time.strftime('%Y%m%d-%H%M%S')}"
        learner = cls(
            config,
            beginning.tokenizer,
            beginning.policy,
            params=beginning.params,
            counters=Counters(run_id),
            provenance=beginning.provenance,
            reference=reference,
        )
        learner.save()
        return learner

    @classmethod
    def _resume(cls, config: TrainConfig, newest: Path) -> Learner:
        metadata = checkpoints.read_metadata(newest)
        compatibility.check_model_config(newest, metadata["model"], config.model, resumes=True)
        _check_frozen(newest, metadata, config.ppo)
        checkpoints.check_assets(newest)
        tokenizer = restore.load_tokenizer(newest / "assets", config)
        policy = Pi0FASTActorCritic(config.model, tokenizer.token_ids, tokenizer.constraint())
        expected = restore.expected_params(policy)
        init = functools.partial(make_optimizer(config.ppo).init, trained=trained_leaves(expected[ACTOR], config.ppo))
        provenance = read_section(newest, metadata, "provenance", restore.Provenance)
        reference = None
        if _has_reference(config, provenance):
            reference = restore.load(Path(provenance.path), config).params[ACTOR]
        learner = cls(
            config,
            tokenizer,
            policy,
            params=checkpoints.load_params(newest, expected),
            counters=read_section(newest, metadata, "counters", Counters),
            provenance=provenance,
            opt_state=checkpoints.load_train_state(
                newest, jax.eval_shape(init, expected), absent={RATE_SCALE: jnp.ones((), jnp.float32)}
            ),
            reference=reference,
        )
        if learner._novelty is not None and not learner._novelty.load(checkpoints.assets_folder(newest)):
            print(f"{newest} was trained without reward.novelty_weight: whatever comes is new")
        return learner

    @property
    def run_id(self) -> str:
        """Identity of the run."""
        return self._counters.run_id

    @property
    def policy_version(self) -> int:
        """Number of the present version: updates made."""
        return self._counters.policy_version

    @property
    def num_chunks(self) -> int:
        """Chunks trained on so far."""
        return self._counters.num_chunks

    @property
    def num_steps(self) -> int:
        """Executed control steps trained on so far."""
        return self._counters.num_steps

    @property
    def params(self) -> Any:
        """All parameters of the present version; an update makes new ones and leaves these as they are."""
        return self._params

    @property
    def counters(self) -> Counters:
        """All counters."""
        return self._counters

    @property
    def finished(self) -> bool:
        """Whether `ppo.total_timesteps` executed control steps have been trained on."""
        return self.num_steps >= self._config.ppo.total_timesteps

    def check(self, transition: Transition) -> None:
        """Refuses a transition that does not fit this run's shapes, tokens or temperature.

        Raises:
            ValueError: naming the field, its value and what it must be.
        """
        check_transition(transition, self._config.model)

    def warm_up(self) -> None:
        """Compiles the update on a rollout of zeros, so that the first real one is not late."""
        rollout = self._stack(blank_rollout(self._config))
        frozen = {version < self._config.ppo.critic_warmup_updates for version in (self.policy_version, sys.maxsize)}
        for policy_frozen in sorted(frozen):
            self._update.warm_up(self._params, self._opt_state, rollout, key=self._key(), policy_frozen=policy_frozen)

    def update(
        self, transitions: Sequence[Transition], *, progress: Callable[[int, int], object] | None = None
    ) -> Metrics:
        """One PPO update; returns its metrics and counts the new version. Failing, it leaves everything as it was.

        An update that went too far was undone (`update/accepted` 0): the new version then has the old one's weights.

        Raises:
            LogProbGapError: when recorded and recomputed log-probs disagree.
            UpdateError: when a loss or gradient is not finite before anything was changed.
        """
        version = self.policy_version
        rewarded, novelty = self._novelty.reward(transitions) if self._novelty else (transitions, None)
        result = self._update.run(
            self._params,
            self._opt_state,
            self._stack(rewarded),
            key=self._key(),
            policy_frozen=version < self._config.ppo.critic_warmup_updates,
            progress=progress,
        )
        self._params, self._opt_state = result.params, result.opt_state
        self._counters = self._counters.after(transitions)
        if self._novelty is not None and novelty is not None:
            self._novelty.state = novelty
        return result.metrics | length_metrics(transitions) | mean_shares(entry.outcome for entry in rewarded)

    def _key(self) -> jax.Array:
        """Randomness of the next update."""
        return jax.random.fold_in(jax.random.key(self._config.run.seed), self.policy_version)

    def _stack(self, transitions: Sequence[Transition]) -> RolloutBatch:
        values_chunks = self._config.model.chunk_value != "none"
        return stack_transitions(transitions, normalize=self._tokenizer.normalize_actions if values_chunks else None)

    def save(self) -> Path:
        """Writes `step_<version>` atomically, removes what retention no longer keeps, returns the folder.

        Raises:
            CheckpointError: when it cannot be written; earlier checkpoints stay whole.
        """
        with tempfile.TemporaryDirectory() as assets:
            self._tokenizer.save(Path(assets))
            if self._novelty is not None:
                self._novelty.save(Path(assets))
            metadata = {
                "model": config_module.to_dict(self._config.model),
                "frozen": _frozen_settings(self._config.ppo),
                "counters": dataclasses.asdict(self._counters),
                "provenance": dataclasses.asdict(self.provenance),
            }
            self.checkpoint = checkpoints.save_checkpoint(
                self.directory,
                step=self.policy_version,
                params=self._params,
                train_state=self._opt_state,
                assets=Path(assets),
                metadata=metadata,
            )
        checkpoints.remove_old_checkpoints(
            self.directory, keep=self._config.run.keep_checkpoints, in_use=self.checkpoint
        )
        return self.checkpoint


def _has_reference(config: TrainConfig, provenance: restore.Provenance) -> bool:
    """Whether the policy is held near the one that the run started from.

    Raises:
        CheckpointError: when it is to be, but the run started from fresh weights.
    """
    if config.ppo.ref_kl_coef == 0.0:
        return False
    if provenance.kind == "scratch":
        raise CheckpointError(
            f"ppo.ref_kl_coef must be 0 in a run that started from fresh weights, got {config.ppo.ref_kl_coef}; name "
            "the policy to stay near by --pretrained_checkpoint_path"
        )
    return True


def _frozen_settings(ppo: PPOConfig) -> dict[str, bool]:
    return {"freeze_image_tower": ppo.freeze_image_tower, "freeze_text_tower": ppo.freeze_text_tower}


def _check_frozen(path: Path, metadata: dict[str, Any], ppo: PPOConfig) -> None:
    """Refuses to resume with other towers frozen: there are moments of what was trained only.

    Raises:
        CheckpointError: listing each setting that differs, with both values.
    """
    stored = metadata.get("frozen", {})  # checkpoints of 0.1.0 have no entry; nothing could be frozen
    differing = [
        f"ppo.{name}: checkpoint {stored.get(name, False)}, configuration {value}"
        for name, value in _frozen_settings(ppo).items()
        if stored.get(name, False) != value
    ]
    if differing:
        raise CheckpointError(
            f"{path} must be resumed with what it froze, but {'; '.join(differing)}; its optimizer state is of what "
            "was trained: keep its settings, or start a new run from it by --pretrained_checkpoint_path"
        )
