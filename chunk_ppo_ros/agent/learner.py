"""The learner takes transitions and makes new policy versions and their checkpoints. Nothing here imports ROS.

The arithmetic of PPO is in `rl/`. Transitions come from `rollout_worker.py` and `nodes/trainer/`. The state that a
learner begins with is made in `learner_state.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import jax

from chunk_ppo_ros.agent.offenders import Offender, find_offenders
from chunk_ppo_ros.agent.rollout_metrics import rollout_metrics
from chunk_ppo_ros.agent.run_start.finished_run import done_line
from chunk_ppo_ros.agent.run_start.learner_state import LearnerState, initial_state
from chunk_ppo_ros.agent.run_start.starting_checkpoint import StartingCheckpoint, open_start
from chunk_ppo_ros.agent.trained_arrays import TrainedArrays
from chunk_ppo_ros.agent.transition_checks import blank_rollout, check_transition
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.consumption.consumed import Consumed
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.core_jax.arrays import Params, PyTree
from chunk_ppo_ros.core_jax.parameter_groups import ACTOR
from chunk_ppo_ros.model.backbone.freezing import FrozenTowers
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.version_saver import VersionSaver
from chunk_ppo_ros.rl.optimizer import make_optimizer
from chunk_ppo_ros.rl.rollout import RolloutBatch, stack_transitions
from chunk_ppo_ros.rl.update import PPOUpdate
from chunk_ppo_ros.runtime.processors import num_processors
from chunk_ppo_ros.sim.tasks.registry import prompts_of


class Learner:
    """Holds the weights, optimizer state and counters of a run, and updates them.

    `Learner.start` makes one. As the configuration says, it resumes a run, loads a checkpoint to start from, or begins
    with fresh weights.

    Args:
        config: the run's configuration.
        state: the state that the learner begins with.
    """

    def __init__(self, config: TrainConfig, state: LearnerState) -> None:
        self._config = config
        self._startup_messages = (str(state), *state.notes)  # A reference to the state would keep its weights.
        policy, self._tokenizer = state.policy.policy, state.policy.tokenizer
        reloads = config.ppo.undo_from == "checkpoint"
        self._arrays = TrainedArrays(
            state.policy.params, state.opt_state, checkpoint=(lambda: self.checkpoint) if reloads else None
        )
        frozen = FrozenTowers.of(config.ppo)
        self._update = PPOUpdate(
            policy.evaluate,
            make_optimizer(config.ppo),
            config.ppo,
            trained=frozen.trained_leaves(self.params[ACTOR]),
            prepare=policy.embed_observation if frozen.keeps_image_embeddings else None,
            dtype=config.model.dtype,
            reference=self._arrays.apart(state.reference),
        )
        self._novelty = state.novelty
        self._counters = state.counters
        self._consumed = state.consumed
        self.provenance = state.policy.provenance
        self._saver = VersionSaver(config, provenance=self.provenance, made_from=state.policy.history)
        self._checkpoint = state.checkpoint

    @classmethod
    def start(cls, config: TrainConfig, start: StartingCheckpoint | None = None) -> Learner:
        """Resumes or begins the run, and makes sure that a checkpoint of the present version is on disk.

        Args:
            config: the run's configuration.
            start: the checkpoint that the section `run` of the configuration names, if the caller has opened it.

        Raises:
            CheckpointError: when a checkpoint that must be loaded cannot be, or another run already uses the folder.
            SettingError: when a prompt cannot be encoded, or the task does not exist.
        """
        state = initial_state(config, open_start(config.run) if start is None else start)
        for prompt in prompts_of(config):  # before anything is written that blocks another try
            state.policy.tokenizer.check_prompt(prompt.text)
        learner = cls(config, state)
        if state.checkpoint is None:
            learner.save()
        return learner

    @property
    def startup_messages(self) -> tuple[str, ...]:
        """The lines to show before training. They say where the run starts, what changed, and whether it is done."""
        if not self.finished:
            return self._startup_messages
        total = self._config.ppo.total_timesteps
        return (*self._startup_messages, done_line(self.run_id, num_steps=self.num_steps, total=total))

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint that the run goes on from, or the one that was saved last.

        Raises:
            RuntimeError: when the run is new and nothing is saved yet, which `Learner.start` rules out.
        """
        if self._checkpoint is None:
            raise RuntimeError("a new learner must be saved before its checkpoint is used, got none; call save")
        return self._checkpoint

    @property
    def run_id(self) -> str:
        """The identity of the run."""
        return self._counters.run_id

    @property
    def policy_version(self) -> int:
        """The number of the present version, which is the number of updates made."""
        return self._counters.policy_version

    @property
    def num_chunks(self) -> int:
        """The number of chunks trained on so far."""
        return self._counters.num_chunks

    @property
    def num_steps(self) -> int:
        """The number of executed control steps trained on so far."""
        return self._counters.num_steps

    @property
    def params(self) -> Params:
        """The parameters of the present version. An update makes new arrays and does not change these.

        Where `ppo.undo_from` is checkpoint, an update uses these arrays up.
        """
        return self._arrays.params

    @property
    def state(self) -> PyTree:
        """All arrays that an update changes: parameters, the state of the optimizer, and that of novelty."""
        return self._arrays.params, self._arrays.opt_state, self._novelty.state if self._novelty is not None else None

    @property
    def counters(self) -> Counters:
        """The counters of the run."""
        return self._counters

    @property
    def consumed(self) -> Consumed:
        """The chunks that the run has trained on, with the manifest of each update."""
        return self._consumed

    @property
    def finished(self) -> bool:
        """Whether `ppo.total_timesteps` executed control steps have been trained on."""
        return self.num_steps >= self._config.ppo.total_timesteps

    def check(self, transition: Transition) -> None:
        """Refuses a transition that does not fit this run's shapes, tokens or temperature.

        Raises:
            ValueError: when it does not fit. The text names the field, its value and what it must be.
        """
        check_transition(transition, self._config.model)

    def offenders(self, error: Exception, transitions: Sequence[Transition]) -> tuple[Offender, ...]:
        """Returns the transitions because of which `update` raised an error; none where no transition is to blame."""
        return find_offenders(
            error,
            transitions,
            scores=lambda entries: self._update.scores(self._arrays.params, self._stack(entries)),
            prepare=lambda entries: (self._stack(entries), rollout_metrics(entries, self._config)),
        )

    def warm_up(self) -> None:
        """Compiles the update with a rollout of zeros, so that the first real update is not late."""
        rollout = self._stack(blank_rollout(self._config))
        frozen = {version < self._config.ppo.critic_warmup_updates for version in (self.policy_version, sys.maxsize)}
        arrays, key = self._arrays, self._key()
        for policy_frozen in sorted(frozen):
            with arrays.whole_after():
                self._update.warm_up(
                    arrays.params,
                    arrays.opt_state,
                    rollout,
                    key=key,
                    policy_frozen=policy_frozen,
                    reload=arrays.reload,
                )

    def update(
        self, transitions: Sequence[Transition], *, progress: Callable[[int, int], object] | None = None
    ) -> Metrics:
        """Makes one PPO update, counts the new version and returns the metrics of the update.

        An update that goes too far is undone (`update/accepted` is 0). The new version then has the weights of the old
        one. An update that raises leaves everything as it was.

        Args:
            transitions: the rollout, all of the present version.
            progress: is called with the numbers of finished and of all minibatches.

        Raises:
            LogProbGapError: when recorded and recomputed log-probs disagree.
            UpdateError: when a loss or gradient is not finite.
        """
        rewarded, novelty = self._novelty.reward(transitions) if self._novelty else (transitions, None)
        with self._arrays.whole_after():
            result = self._update.run(
                self._arrays.params,
                self._arrays.opt_state,
                self._stack(rewarded),
                key=self._key(),
                policy_frozen=self.policy_version < self._config.ppo.critic_warmup_updates,
                progress=progress,
                reload=self._arrays.reload,
            )
            # These may raise, for example for a metric that two packages name alike, so they come before any change.
            metrics = result.metrics | rollout_metrics(rewarded, self._config)
            self._arrays.params, self._arrays.opt_state = result.params, result.opt_state
        self._counters = self._counters.after(transitions)
        self._consumed = self._consumed.after(
            self.policy_version, (one.id.key for one in transitions), num_processors=num_processors()
        )
        if self._novelty is not None and novelty is not None:
            self._novelty.state = novelty
        return metrics

    def _key(self) -> jax.Array:
        """Returns the random key of the next update."""
        return jax.random.fold_in(jax.random.key(self._config.run.seed), self.policy_version)

    def _stack(self, transitions: Sequence[Transition]) -> RolloutBatch:
        values_chunks = self._config.model.chunk_value != "none"
        return stack_transitions(transitions, normalize=self._tokenizer.normalize_actions if values_chunks else None)

    def save(self) -> Checkpoint:
        """Writes a checkpoint of the present version and returns it, as `VersionSaver.save` says.

        Raises:
            CheckpointError: when the checkpoint cannot be written. Earlier checkpoints stay whole.
            OSError: when there is no place for temporary files, or an old checkpoint cannot be removed.
        """
        self._checkpoint = self._saver.save(
            self._arrays.params,
            self._arrays.opt_state,
            self._save_assets,
            counters=self._counters,
            consumed=self._consumed,
        )
        return self._checkpoint

    def _save_assets(self, folder: Path) -> None:
        self._tokenizer.save(folder)
        if self._novelty is not None:
            self._novelty.save(folder)
