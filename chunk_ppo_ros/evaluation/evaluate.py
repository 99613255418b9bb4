"""Measures a checkpoint on unseen starts of the simulated task, which are the same ones for every checkpoint.

Task, simulator, time limit, temperature and prompt are those of the run that wrote the checkpoint, unless a flag says
otherwise. Where the checkpoint does not record them, `--config` must name the preset. Results have 95 % intervals.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from chunk_ppo_ros.agent.actor import Actor
from chunk_ppo_ros.agent.env import ChunkEnv, simulated
from chunk_ppo_ros.agent.run_start.checkpoint_settings import config_for_measuring
from chunk_ppo_ros.config import REAL_ROBOT, SIMULATORS, TrainConfig, flags
from chunk_ppo_ros.config.deploy import GREEDY, SAMPLE
from chunk_ppo_ros.core import seeds
from chunk_ppo_ros.core.folders import check_file
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.types import Observation
from chunk_ppo_ros.evaluation.deployment import over_graph
from chunk_ppo_ros.evaluation.statistics import PairedTest, mean_interval, paired_test, success_interval
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint

ObservedT = TypeVar("ObservedT")


class Acting(Protocol[ObservedT]):
    """The interface of a policy that is measured. `Actor` has it. It makes chunks from observations.

    `ObservedT` is the type of an observation as the policy sees it.
    """

    @property
    def greedy(self) -> bool:
        """Whether the policy takes the likeliest action instead of sampling."""

    def observe(self, observation: Observation) -> ObservedT:
        """Returns the observation as the policy sees it."""

    def act(self, observation: ObservedT, *, sequence_number: int) -> ActedChunk:
        """Returns a chunk for what `observe` returned."""


class ActedChunk(Protocol):
    """The part of a `SampledChunk` that an evaluation uses."""

    @property
    def asked_actions(self) -> np.ndarray:
        """The actions to execute, [k, D]: absolute joint targets in rad, grippers normalized."""

    @property
    def valid(self) -> bool:
        """Whether the policy's output stood for actions."""


@dataclasses.dataclass(frozen=True)
class EvaluationSummary:
    """The figures of an evaluation over all episodes, with 95 % intervals.

    Attributes:
        episodes: the number of measured episodes.
        success_mean: the share of episodes in which the task was solved, 0..1.
        success_low: the lower end of its interval.
        success_high: the upper end of its interval.
        reward_mean: the mean reward of an episode.
        reward_low: the lower end of its interval.
        reward_high: the upper end of its interval.
        invalid_fraction: the share of chunks whose tokens stood for no actions, 0..1.
    """

    episodes: int
    success_mean: float
    success_low: float
    success_high: float
    reward_mean: float
    reward_low: float
    reward_high: float
    invalid_fraction: float


@dataclasses.dataclass(frozen=True)
class EvaluationResult:
    """The results of a checkpoint. Arrays have one entry per episode, in the order of the starts.

    Attributes:
        checkpoint: folder of the measured checkpoint.
        decoding: "sample" (at the configured temperature) or "greedy".
        success: bool [episodes], whether the task was solved.
        reward: float [episodes], sum of the chunk rewards.
        invalid: int [episodes], number of chunks whose tokens stood for no actions, in which the robot held its pose.
        num_chunks: int [episodes], number of all chunks.
    """

    checkpoint: str
    decoding: str
    success: np.ndarray
    reward: np.ndarray
    invalid: np.ndarray
    num_chunks: np.ndarray

    @property
    def labels(self) -> dict[str, str]:
        """The checkpoint and the way of decoding, as labels for the metrics file."""
        return {"evaluation/checkpoint": self.checkpoint, "evaluation/decoding": self.decoding}

    @property
    def summary(self) -> EvaluationSummary:
        """The figures over all episodes."""
        successes, episodes = int(self.success.sum()), len(self.success)
        success_low, success_high = success_interval(successes, episodes)
        reward_low, reward_high = mean_interval(self.reward)
        return EvaluationSummary(
            episodes=episodes,
            success_mean=successes / episodes,
            success_low=success_low,
            success_high=success_high,
            reward_mean=float(self.reward.mean()),
            reward_low=reward_low,
            reward_high=reward_high,
            invalid_fraction=float(self.invalid.sum() / self.num_chunks.sum()),
        )

    def metrics(self) -> Metrics:
        """Returns the summary for the metrics file."""
        summary = self.summary
        return Metrics(
            {
                "evaluation/episodes": summary.episodes,
                "evaluation/success_mean": summary.success_mean,
                "evaluation/success_low": summary.success_low,
                "evaluation/success_high": summary.success_high,
                "evaluation/reward_mean": summary.reward_mean,
                "evaluation/reward_low": summary.reward_low,
                "evaluation/reward_high": summary.reward_high,
                "evaluation/invalid_fraction": summary.invalid_fraction,
            }
        )

    def to_json(self) -> str:
        """Returns the text of a file with the checkpoint, the way of decoding and the summary."""
        origin = {"checkpoint": self.checkpoint, "decoding": self.decoding}
        return json.dumps({**origin, **dataclasses.asdict(self.summary)}, indent=2) + "\n"

    def __str__(self) -> str:
        summary = self.summary
        held = f", {self.invalid.sum()} of {self.num_chunks.sum()} chunks invalid" if self.invalid.any() else ""
        return (
            f"{self.checkpoint}: success {summary.success_mean:.1%} "
            f"[{summary.success_low:.1%}, {summary.success_high:.1%}], mean reward {summary.reward_mean:.3f} "
            f"[{summary.reward_low:.3f}, {summary.reward_high:.3f}] over {summary.episodes} episodes, "
            f"{self.decoding} decoding{held}, 95 % intervals"
        )


def evaluate_checkpoint(
    checkpoint: Checkpoint,
    config: TrainConfig,
    *,
    episodes: int,
    greedy: bool = False,
    on_episode: Callable[[], object] = lambda: None,
) -> EvaluationResult:
    """Runs a checkpoint on the first `episodes` evaluation starts of the configured simulator.

    Raises:
        CheckpointError: when the checkpoint does not fit the configuration.
        SettingError: when the configuration has no simulator, or has settings that the simulator does not have.
        SimulatorUnavailable: when the simulator cannot render here.
    """
    actor = Actor(config, checkpoint, policy_version=checkpoint.policy_version, greedy=greedy)
    starts = [evaluation_start(config.run.seed, episode) for episode in range(episodes)]
    with simulated(config) as env:
        return evaluate_actor(actor, env, starts=starts, name=str(checkpoint.root), on_episode=on_episode)


def evaluation_start(run_seed: int, episode: int) -> int:
    """Returns the seed of an evaluation start, which training and demonstrations never use."""
    return seeds.episode_seed(seeds.EVALUATION, run_seed=run_seed, episode=episode)


def evaluate_actor(
    actor: Acting[ObservedT],
    env: ChunkEnv,
    *,
    starts: Sequence[int],
    name: str,
    on_episode: Callable[[], object] = lambda: None,
) -> EvaluationResult:
    """Runs an actor for one episode from each start.

    Args:
        actor: policy to measure.
        env: environment, which is reset to each start.
        starts: seeds of the resets.
        name: name of the policy, which becomes `EvaluationResult.checkpoint`.
        on_episode: function that is called after each episode.
    """
    results = []
    for episode, start in enumerate(starts):
        results.append(_run_episode(actor, env, episode=episode, start=start))
        on_episode()
    success, reward, invalid, num_chunks = (np.array(column) for column in zip(*results, strict=True))
    return EvaluationResult(name, "greedy" if actor.greedy else "sample", success, reward, invalid, num_chunks)


def compare(before: EvaluationResult, after: EvaluationResult) -> PairedTest:
    """Returns the paired test of success on the same starts. Its one-sided p-value is for "after is better"."""
    return paired_test(before.success.astype(float), after.success.astype(float))


def _run_episode(actor: Acting[ObservedT], env: ChunkEnv, *, episode: int, start: int) -> tuple[bool, float, int, int]:
    """Runs one episode and returns success, reward, number of invalid chunks, and number of all chunks."""
    observation = env.reset(seed=start)
    total, ended, num_invalid, num_chunks = 0.0, False, 0, 0
    while not ended:
        # Each chunk has a sequence number of its own over all episodes, so that it is sampled with a key of its own.
        chunk = actor.act(actor.observe(observation), sequence_number=episode * 10_000 + num_chunks)
        observation, reward, ended, outcome = env.step_chunk(chunk.asked_actions)
        total += reward
        num_invalid += not chunk.valid
        num_chunks += 1
    return outcome.success, total, num_invalid, num_chunks


def main(arguments: Sequence[str]) -> int:
    """Runs `python -m chunk_ppo_ros evaluate CHECKPOINT --episodes N`, in this process or over the graph."""
    parser = flags.FlagParser(prog="chunk_ppo_ros evaluate", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="a step_<N> folder or an openpi checkpoint with tokenizers")
    parser.add_argument("--episodes", type=int, default=64, help="unseen starts, or episodes that count (64)")
    parser.add_argument("--greedy", action="store_true", help="take the likeliest token instead of sampling")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    flags.add_config_flags(parser, preset="debug")
    over_graph.add_flags(parser)
    parsed = parser.parse_args(arguments)
    if parsed.episodes < 2:
        parser.error(f"--episodes must be at least 2 for an interval, got {parsed.episodes}")
    if parsed.json:
        check_file(parsed.json, "--json")
    if parsed.decoding is None:
        parsed.decoding = GREEDY if parsed.greedy else SAMPLE
    if parsed.graph:
        return over_graph.evaluate(parser, parsed)
    over_graph.refuse_flags(parser, parsed)
    checkpoint = Checkpoint.open(parsed.checkpoint)
    config = config_for_measuring(parser, parsed, checkpoint)
    if config.env.is_real:
        names = " or ".join(SIMULATORS)
        parser.error(
            f"env.simulator must be {names} to measure a checkpoint, got {REAL_ROBOT}; set --simulator, or measure on "
            "the robot by --graph"
        )
    result = evaluate_checkpoint(checkpoint, config, episodes=parsed.episodes, greedy=parsed.decoding == GREEDY)
    print(result)
    if parsed.json:
        parsed.json.write_text(result.to_json())
    return 0
