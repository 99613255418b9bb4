"""Trains in one process without ROS. The process collects rollouts by `env.step_chunk` and learns from them.

It uses the same actor, learner, checkpoints, metrics and configuration as the ROS graph. The model, the task, the time
limit, the temperature and the prompts are those of the checkpoint that it starts from, unless a flag says otherwise.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Iterator, Sequence

from chunk_ppo_ros.agent.actor import Actor
from chunk_ppo_ros.agent.env import ChunkEnv, simulated
from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.agent.rollout_worker import RolloutWorker
from chunk_ppo_ros.agent.run_start.checkpoint_settings import TrainingSetup, setup_for_training
from chunk_ppo_ros.agent.run_start.finished_run import end_if_done, tell_end
from chunk_ppo_ros.agent.run_start.held_journal import held_journal
from chunk_ppo_ros.agent.run_start.run_log import open_metrics
from chunk_ppo_ros.agent.run_start.starting_checkpoint import has_trained, way_to_go_on
from chunk_ppo_ros.config import RunConfig, TrainConfig
from chunk_ppo_ros.config.commands.training import train_parser
from chunk_ppo_ros.core.folders import check_folder, removed_after_failure
from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.data.chunk_sample.sampler import ChunkSampler
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.reporting.metrics_log import MetricsLog
from chunk_ppo_ros.reporting.progress import progress_bar
from chunk_ppo_ros.reporting.progress.run_estimate import RunEstimate
from chunk_ppo_ros.reporting.report_writer import ReportWriter
from chunk_ppo_ros.reporting.run_clock import RunClock
from chunk_ppo_ros.reporting.run_metrics import time_metrics
from chunk_ppo_ros.reporting.update_line import update_line
from chunk_ppo_ros.runtime.claims.run_folder import claim_run

LARGE_RATE_FOR_2B = 1e-4
"""The learning rate above which training all of gemma_2b gives a warning. Rates known to work are 5e-6 for all
parameters and 2e-5 for LoRA."""


def train(setup: TrainingSetup, env: ChunkEnv) -> Checkpoint:
    """Trains until `ppo.total_timesteps` executed steps and returns the newest checkpoint.

    Args:
        setup: the run's configuration, and the checkpoint that it goes on from or begins with.
        env: the environment of the configured simulator.

    Raises:
        CheckpointError: when the checkpoint to start from cannot be loaded, or a checkpoint cannot be written.
        LogProbGapError: when sampling and scoring disagree before an update.
    """
    config, since = setup.config, time.monotonic()
    warn_of_large_rate(config)
    learner = Learner.start(config, setup.start)
    print("\n".join(learner.startup_messages))
    actor = Actor(config, learner.checkpoint, policy_version=learner.policy_version)
    worker = RolloutWorker(
        actor,
        env,
        config=config,
        run_id=learner.run_id,
        sequence_number=max(setup.first_number, learner.counters.next_sequence_number),
        episode=learner.counters.next_episode,
    )
    with (
        open_metrics(learner, config, form="train", run_start=setup.given) as log,
        ReportWriter(config.run.folder) as report,
    ):
        report.request()  # A run that is stopped before its first update has a page too.
        clock, estimate = RunClock(config.run.folder, since=since), RunEstimate(config.ppo.total_timesteps)
        loop = _Loop(config, learner, actor, worker, log, clock, estimate)
        sampler = ChunkSampler(config.run.folder, learner.run_id)
        while not learner.finished:
            sampler.add(loop.iterate())
            report.request()
    return learner.checkpoint


@contextlib.contextmanager
def _told_how_to_go_on(run: RunConfig) -> Iterator[None]:
    """Prints after Ctrl-C which checkpoint the run goes on from, and how."""
    try:
        yield
    except KeyboardInterrupt:
        if way := way_to_go_on(run):
            print(way, file=sys.stderr)
        raise


def warn_of_large_rate(config: TrainConfig) -> None:
    """Warns where the learning rate is known to be too large for all of gemma_2b."""
    trains_all = config.model.paligemma_variant == "gemma_2b" and not config.model.lora_rank
    if trains_all and config.ppo.learning_rate > LARGE_RATE_FOR_2B:
        print(
            f"warning: ppo.learning_rate {config.ppo.learning_rate:g} on all of gemma_2b is far above what is known "
            "to work (5e-6 for all parameters, 2e-5 for LoRA); expect the policy to collapse"
        )


@dataclasses.dataclass(frozen=True)
class _Loop:
    """The parts of a training, which take turns."""

    config: TrainConfig
    learner: Learner
    actor: Actor
    worker: RolloutWorker
    log: MetricsLog
    clock: RunClock
    estimate: RunEstimate

    def iterate(self) -> list[Transition]:
        """Collects one rollout, makes one update and writes one checkpoint. Returns the rollout."""
        started, learner = time.monotonic(), self.learner
        transitions, solved = self._collect(f"version {learner.policy_version} rollout")
        collected = time.monotonic()
        what = f"version {learner.policy_version} update"
        with progress_bar(what, unit="minibatch", compiles=self.estimate.is_first) as bar:
            metrics = learner.update(transitions, progress=bar.set)
        self.actor.load(learner.save(), policy_version=learner.policy_version)
        metrics |= time_metrics(rollout=collected - started, update=time.monotonic() - collected)
        self.log.write("update", metrics | self.clock.metrics(), counters=learner.counters)
        end = self.estimate.after_update(learner.num_steps)
        print(update_line(metrics, counters=learner.counters, ppo=self.config.ppo, solved=solved, end=end))
        return transitions

    def _collect(self, what: str) -> tuple[list[Transition], list[bool]]:
        """Returns a rollout, and whether each episode that ended in it was solved."""
        total = self.config.ppo.num_chunks_per_update
        with progress_bar(what, unit="chunk", total=total, compiles=self.estimate.is_first) as bar:
            transitions, episodes = self.worker.collect(total, on_chunk=bar.update)
        for episode in episodes:
            self.log.write("episode", episode.metrics(), counters=self.learner.counters, labels=episode.labels)
        return transitions, [episode.success for episode in episodes]


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo train --config debug|demo|full --exp_name NAME [--no_wandb]`."""
    parser = train_parser()
    parsed = parser.parse_args(arguments)
    setup = setup_for_training(parser, parsed)
    run = setup.config.run
    if run.resume:
        setup.start.require()  # A run that has nothing to resume makes no folder.
    if (code := end_if_done(setup.config, setup.start)) is not None:
        return code
    new = removed_after_failure(run.folder, run.checkpoint_folder, unless=lambda: has_trained(run))
    with claim_run(run.folder), new:
        check_folder(run.folder, "run.run_dir")
        check_folder(run.checkpoint_root, "run.checkpoint_root")
        with held_journal(run, setup.start) as first_number, simulated(setup.config) as env, _told_how_to_go_on(run):
            checkpoint = train(dataclasses.replace(setup, first_number=first_number), env)
    return tell_end(checkpoint.root, checkpoint.require_metadata().provenance)
