"""Collects rollouts by `env.step_chunk`, without ROS. In the graph policy_node and reward_node do this together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from chunk_ppo_ros.agent.actor import Actor
from chunk_ppo_ros.agent.env import ChunkEnv
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core import seeds
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.types import (
    ChunkId,
    ChunkOutcome,
    ModelObservation,
    Observation,
    ObservationSource,
    Transition,
)
from chunk_ppo_ros.reporting.run_metrics import episode_labels, episode_metrics
from chunk_ppo_ros.rewards.assembler import TransitionAssembler
from chunk_ppo_ros.sim.tasks.registry import prompt_schedule


@dataclasses.dataclass(frozen=True)
class EpisodeSummary:
    """A summary of one finished episode. Refused chunks do not count.

    Attributes:
        episode: the number of the episode in its run.
        total_reward: the sum of the rewards of its chunks.
        success: whether the task was solved.
        num_chunks: the number of its chunks of which at least one step was executed.
        num_steps: the number of its executed control steps.
        prompt: the task in words where the run has several; otherwise empty.
    """

    episode: int
    total_reward: float
    success: bool
    num_chunks: int
    num_steps: int
    prompt: str = ""

    @classmethod
    def of(cls, episode: int, outcomes: Sequence[ChunkOutcome], *, prompt: str = "") -> EpisodeSummary:
        """Returns the summary of an episode with these outcomes, of which there must be at least one."""
        return cls(
            episode=episode,
            total_reward=sum(outcome.reward for outcome in outcomes),
            success=outcomes[-1].success,
            num_chunks=sum(outcome.num_steps > 0 for outcome in outcomes),
            num_steps=sum(outcome.num_steps for outcome in outcomes),
            prompt=prompt,
        )

    def metrics(self) -> Metrics:
        """Returns the metrics of the episode."""
        return episode_metrics(
            episode=self.episode,
            total_reward=self.total_reward,
            success=self.success,
            num_chunks=self.num_chunks,
            prompt=self.prompt,
        )

    @property
    def labels(self) -> dict[str, str]:
        """The prompt as a label for the metrics file, where the run has several."""
        return episode_labels(self.prompt)


class RolloutWorker:
    """Runs the actor in the environment and collects transitions.

    An episode that is not over at the end of a rollout goes on in the next rollout. Where the run has
    `episode.prompts`, they come as in the graph. None of these episodes is discarded. An episode that the end of the
    process cut short counts, because nothing remembers that it did not end.

    Args:
        actor: the actor, which samples the chunks.
        env: the environment, which executes them.
        config: the run's configuration.
        run_id: the identity of the run.
        sequence_number: the sequence number of the first chunk.
        episode: the number of the first episode.
    """

    def __init__(
        self,
        actor: Actor,
        env: ChunkEnv,
        *,
        config: TrainConfig,
        run_id: str,
        sequence_number: int = 0,
        episode: int = 0,
    ) -> None:
        self._actor = actor
        self._env = env
        self._run_id = run_id
        self._run_seed = config.run.seed
        self._several_prompts = config.episode.has_several_prompts
        self._schedule = prompt_schedule(config) if config.episode.prompts else None
        self._assembler = TransitionAssembler(config.ppo)
        self._sequence_number = sequence_number
        self._episode = episode
        self._outcomes: list[ChunkOutcome] = []
        self._observation: Observation | None = None
        self._prompt = ""

    def collect(
        self, num_chunks: int, *, on_chunk: Callable[[], object] = lambda: None
    ) -> tuple[list[Transition], list[EpisodeSummary]]:
        """Samples and executes chunks until there are `num_chunks` transitions. A refused chunk makes none.

        Args:
            num_chunks: the number of transitions to collect.
            on_chunk: is called after each chunk that makes a transition.

        Returns:
            The transitions, in order, and the episodes that ended.
        """
        episodes, executed = [], 0
        while executed < num_chunks:
            outcome = self._step(last_of_rollout=executed == num_chunks - 1)
            if outcome.terminated or outcome.truncated:
                episodes.append(self._end_episode())
            if outcome.num_steps:
                executed += 1
                on_chunk()
        return self._assembler.pop_complete(), episodes

    def _step(self, *, last_of_rollout: bool) -> ChunkOutcome:
        before = self._begin_episode() if self._observation is None else self._observation
        chunk_id = ChunkId(self._run_id, self._sequence_number, self._episode, len(self._outcomes))
        chunk = self._actor.act(self._observe(before), sequence_number=self._sequence_number)
        source = ObservationSource(prompt=self._prompt)
        self._assembler.add_chunk(chunk_id, dataclasses.replace(chunk, source=source))
        self._observation, _, _, outcome = self._env.step_chunk(chunk.asked_actions)
        self._assembler.add_outcome(chunk_id, outcome)
        if outcome.num_steps and not outcome.terminated and (outcome.truncated or last_of_rollout):
            after = self._observe(self._observation)
            self._assembler.add_bootstrap(self._sequence_number, after, self._actor.value(after), source)
        self._sequence_number += 1
        self._outcomes.append(outcome)
        return outcome

    def _begin_episode(self) -> Observation:
        seed = seeds.episode_seed(seeds.TRAINING, run_seed=self._run_seed, episode=self._episode)
        observation = self._env.reset(seed=seed)
        self._prompt = observation.prompt
        if self._schedule is not None:
            self._prompt = self._schedule.prompt(episode=self._episode, num_counted=self._episode)
        return observation

    def _observe(self, observation: Observation) -> ModelObservation:
        return self._actor.observe(dataclasses.replace(observation, prompt=self._prompt))

    def _end_episode(self) -> EpisodeSummary:
        prompt = self._prompt if self._several_prompts else ""
        summary = EpisodeSummary.of(self._episode, self._outcomes, prompt=prompt)
        self._episode += 1
        self._outcomes = []
        self._observation = None
        return summary
