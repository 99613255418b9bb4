"""Measures a checkpoint on unseen starts of the simulated task, which are the same ones for every checkpoint.

Task, simulator, time limit, temperature and prompts are those of the run that wrote the checkpoint, unless a flag says
otherwise. Several prompts take turns, each as often as the others, and are also reported apart. Where the checkpoint
does not record the settings, `--config` must name the preset. Results have 95 % intervals.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from chunk_ppo_ros.agent.actor import Actor
from chunk_ppo_ros.agent.env import ChunkEnv, simulated
from chunk_ppo_ros.agent.run_start.checkpoint_settings import config_for_measuring
from chunk_ppo_ros.agent.run_start.setting_lines import print_history
from chunk_ppo_ros.config import REAL_ROBOT, SIMULATORS, TrainConfig
from chunk_ppo_ros.config.deploy import GREEDY, SAMPLE
from chunk_ppo_ros.core import seeds
from chunk_ppo_ros.core.errors import SettingError
from chunk_ppo_ros.core.folders import check_file
from chunk_ppo_ros.core.types import ChunkOutcome, Observation
from chunk_ppo_ros.evaluation.deployment import over_graph
from chunk_ppo_ros.evaluation.deployment.flags import evaluate_parser
from chunk_ppo_ros.evaluation.results import EvaluationResult
from chunk_ppo_ros.evaluation.statistics import PairedTest, paired_test
from chunk_ppo_ros.evaluation.video import EpisodeCommands, shown_episode, write_video
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.reporting.progress import progress_bar

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


def evaluate_checkpoint(
    checkpoint: Checkpoint,
    config: TrainConfig,
    *,
    episodes: int,
    greedy: bool = False,
    on_episode: Callable[[], object] = lambda: None,
    on_outcome: Callable[[int, ChunkOutcome], object] = lambda episode, outcome: None,
) -> EvaluationResult:
    """Runs a checkpoint on the first `episodes` evaluation starts of the configured simulator.

    `on_outcome` is called as `evaluate_actor` says.

    Raises:
        CheckpointError: when the checkpoint does not fit the configuration.
        SettingError: when the configuration has no simulator, or has settings that the simulator does not have.
        SimulatorUnavailable: when the simulator cannot render here.
    """
    prompts = prompts_in_turn(config, episodes=episodes)
    actor = Actor(config, checkpoint, policy_version=checkpoint.policy_version, greedy=greedy)
    starts = [evaluation_start(config.run.seed, episode) for episode in range(episodes)]
    with simulated(config) as env:
        result = evaluate_actor(
            actor,
            env,
            starts=starts,
            prompts=prompts,
            name=str(checkpoint.root),
            on_episode=on_episode,
            on_outcome=on_outcome,
        )
    return result if config.episode.has_several_prompts else dataclasses.replace(result, prompts=())


def prompts_in_turn(config: TrainConfig, *, episodes: int) -> tuple[str, ...]:
    """Returns the prompt of each episode where the run has `episode.prompts`, otherwise none.

    The prompts take turns whatever their weights, so that the intervals of all of them are equally narrow.

    Raises:
        SettingError: where a prompt of several would have fewer than two episodes, which give no interval.
    """
    texts = [prompt.text for prompt in config.episode.weighted_prompts]
    if config.episode.has_several_prompts and episodes < 2 * len(texts):
        raise SettingError(
            f"an evaluation must have at least 2 episodes for each of {len(texts)} prompts, got {episodes}; set "
            f"--episodes {2 * len(texts)} or more, or measure one by --prompt"
        )
    return tuple(texts[number % len(texts)] for number in range(episodes)) if texts else ()


def evaluation_start(run_seed: int, episode: int) -> int:
    """Returns the seed of an evaluation start, which training and demonstrations never use."""
    return seeds.episode_seed(seeds.EVALUATION, run_seed=run_seed, episode=episode)


def evaluate_actor(
    actor: Acting[ObservedT],
    env: ChunkEnv,
    *,
    starts: Sequence[int],
    name: str,
    prompts: Sequence[str] = (),
    on_episode: Callable[[], object] = lambda: None,
    on_outcome: Callable[[int, ChunkOutcome], object] = lambda episode, outcome: None,
) -> EvaluationResult:
    """Runs an actor for one episode from each start.

    Args:
        actor: policy to measure.
        env: environment, which is reset to each start.
        starts: seeds of the resets.
        name: name of the policy, which becomes `EvaluationResult.checkpoint`.
        prompts: the prompt of each episode; without any, the environment says it.
        on_episode: function that is called after each episode.
        on_outcome: function that is called with the number of an episode and the outcome of each of its chunks.
    """
    results = []
    for episode, start in enumerate(starts):
        prompt = prompts[episode] if prompts else None
        results.append(_run_episode(actor, env, episode=episode, start=start, prompt=prompt, on_outcome=on_outcome))
        on_episode()
    success, reward, invalid, num_chunks = (np.array(column) for column in zip(*results, strict=True))
    decoding = "greedy" if actor.greedy else "sample"
    return EvaluationResult(name, decoding, success, reward, invalid, num_chunks, tuple(prompts))


def compare(before: EvaluationResult, after: EvaluationResult) -> PairedTest:
    """Returns the paired test of success on the same starts. Its one-sided p-value is for "after is better"."""
    return paired_test(before.success.astype(float), after.success.astype(float))


def _run_episode(
    actor: Acting[ObservedT],
    env: ChunkEnv,
    *,
    episode: int,
    start: int,
    prompt: str | None,
    on_outcome: Callable[[int, ChunkOutcome], object],
) -> tuple[bool, float, int, int]:
    """Runs one episode and returns success, reward, number of invalid chunks, and number of all chunks."""
    observation = env.reset(seed=start)
    total, ended, num_invalid, num_chunks = 0.0, False, 0, 0
    while not ended:
        # Each chunk has a sequence number of its own over all episodes, so that it is sampled with a key of its own.
        seen = observation if prompt is None else dataclasses.replace(observation, prompt=prompt)
        chunk = actor.act(actor.observe(seen), sequence_number=episode * 10_000 + num_chunks)
        observation, reward, ended, outcome = env.step_chunk(chunk.asked_actions)
        on_outcome(episode, outcome)
        total += reward
        num_invalid += not chunk.valid
        num_chunks += 1
    return outcome.success, total, num_invalid, num_chunks


def _film(path: Path, config: TrainConfig, result: EvaluationResult, commands: EpisodeCommands) -> str:
    """Writes the video of an evaluation, and returns a line that says what it shows."""
    episode = shown_episode(result.success)
    write_video(path, config, start=evaluation_start(config.run.seed, episode), commands=commands.of(episode))
    return f"wrote {path}, start {episode}, {'solved' if result.success[episode] else 'not solved'}"


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo evaluate CHECKPOINT --episodes N`, in this process or over the graph."""
    parser = evaluate_parser()
    parsed = parser.parse_args(arguments)
    if parsed.episodes < 2:
        parser.error(f"--episodes must be at least 2 for an interval, got {parsed.episodes}")
    if parsed.json:
        check_file(parsed.json, "--json")
    if parsed.video:
        check_file(parsed.video, "--video")
        if parsed.graph:
            parser.error("--video must not be given with --graph, got both; record bags by --record instead")
    if parsed.decoding is None:
        parsed.decoding = GREEDY if parsed.greedy else SAMPLE
    if parsed.graph:
        return over_graph.evaluate(parser, parsed)
    over_graph.refuse_flags(parser, parsed)
    checkpoint = Checkpoint.open(parsed.checkpoint)
    config = config_for_measuring(parser, parsed, checkpoint)
    print_history(checkpoint)
    if config.env.is_real:
        names = " or ".join(SIMULATORS)
        parser.error(
            f"env.simulator must be {names} to measure a checkpoint, got {REAL_ROBOT}; set --simulator, or measure on "
            "the robot by --graph"
        )
    commands, greedy = EpisodeCommands(), parsed.decoding == GREEDY
    with progress_bar("evaluation", unit="episode", total=parsed.episodes, compiles=True) as bar:
        result = evaluate_checkpoint(
            checkpoint,
            config,
            episodes=parsed.episodes,
            greedy=greedy,
            on_episode=bar.update,
            on_outcome=commands,
        )
    print(result)
    if parsed.video:
        print(_film(parsed.video, config, result, commands))
    if parsed.json:
        parsed.json.write_text(result.to_json())
    return 0
