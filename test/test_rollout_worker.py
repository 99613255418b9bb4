"""Tests which transitions the rollout worker makes, and with which next values. Actor and environment are scripted."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from chunk_ppo_ros.agent.rollout_worker import EpisodeSummary, RolloutWorker
from chunk_ppo_ros.config import PRESETS, EpisodeConfig
from chunk_ppo_ros.core import seeds
from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.core.types import ChunkId, ChunkOutcome, ModelObservation, Observation, SampledChunk
from chunk_ppo_ros.sim.tasks.registry import prompt_schedule

CONFIG = PRESETS["debug"]
EXECUTED = ChunkOutcome(1.0, (), ExecutionResult.whole(4), terminated=False, truncated=False)
REFUSED = ChunkOutcome.without_steps(ExecutionResult.nothing(Status.REFUSED, "too far away"))
TIME_LIMIT = dataclasses.replace(EXECUTED, truncated=True)
SOLVED = dataclasses.replace(EXECUTED, terminated=True, success=True)


class CountingActor:
    """Gives the state as the value of an observation. Chunks are empty. The token of a prompt is its length."""

    def observe(self, observation: Observation) -> ModelObservation:
        tokens = np.full(1, len(observation.prompt), np.int32)
        return ModelObservation(observation.images, observation.image_mask, tokens, tokens == 0, observation.state)

    def act(self, observation: ModelObservation, *, sequence_number: int) -> SampledChunk:
        zeros, tokens = np.zeros(1, np.float32), np.zeros(1, np.int32)
        value = self.value(observation)
        return SampledChunk(observation, tokens, zeros == 0, zeros, value, zeros[None], 0, 1.0, 1, 0.0)

    def value(self, observation: ModelObservation) -> float:
        return float(observation.state[0])


class ScriptedEnv:
    """Ends chunks as the script says. The state is 100 times the episode plus the executed chunks of it."""

    def __init__(self, *script: ChunkOutcome) -> None:
        self._script = list(script)
        self._state = -100.0
        self.seeds: list[int] = []

    def reset(self, *, seed: int) -> Observation:
        self.seeds.append(seed)
        self._state = 100.0 * (self._state // 100 + 1)
        return self._observe()

    def step_chunk(self, actions: np.ndarray) -> tuple[Observation, float, bool, ChunkOutcome]:
        outcome = self._script.pop(0)
        self._state += outcome.num_steps > 0
        return self._observe(), outcome.reward, outcome.terminated or outcome.truncated, outcome

    def _observe(self) -> Observation:
        return Observation(np.zeros((1, 2, 2, 3), np.uint8), np.ones(1, bool), np.array([self._state], np.float32), "")


def collect(num_chunks: int, *script: ChunkOutcome) -> tuple[list[tuple[int, int, float]], list[EpisodeSummary]]:
    """Returns (sequence number, chunk, next value) of the transitions, and the episodes."""
    worker = RolloutWorker(CountingActor(), ScriptedEnv(*script), config=CONFIG, run_id="run")  # type: ignore[arg-type]
    transitions, episodes = worker.collect(num_chunks)
    return [(one.id.sequence_number, one.id.chunk, one.next_value) for one in transitions], episodes


def test_next_values_come_from_what_followed() -> None:
    # Episode 0 has the states 0, 1, 2: its second chunk ends by time. Episode 1 is solved. Episode 2 is interrupted.
    rows, episodes = collect(4, EXECUTED, TIME_LIMIT, SOLVED, EXECUTED)
    assert rows == [(0, 0, 1.0), (1, 1, 2.0), (2, 0, 0.0), (3, 0, 201.0)]
    assert episodes == [EpisodeSummary(0, 2.0, False, 2, 8), EpisodeSummary(1, 1.0, True, 1, 4)]


def test_a_refused_chunk_makes_no_transition_and_leaves_the_episode_as_it_is() -> None:
    rows, episodes = collect(3, EXECUTED, REFUSED, EXECUTED, REFUSED, SOLVED)
    # The refused chunks saw the states 1 and 2, in which their predecessors had ended. They do not fill the rollout.
    assert rows == [(0, 0, 1.0), (2, 2, 2.0), (4, 4, 0.0)]
    assert episodes == [EpisodeSummary(0, 3.0, True, 3, 12)]


def test_an_interrupted_episode_goes_on_in_the_next_rollout() -> None:
    env = ScriptedEnv(EXECUTED, REFUSED, SOLVED)
    worker = RolloutWorker(CountingActor(), env, config=CONFIG, run_id="run")  # type: ignore[arg-type]
    (first,), none = worker.collect(1)
    assert (first.next_value, first.next_observation is not None, none) == (1.0, True, [])
    (second,), (episode,) = worker.collect(1)
    assert (second.id.sequence_number, second.id.chunk, second.chunk.value) == (2, 2, 1.0)
    assert (episode.num_chunks, episode.total_reward) == (2, 2.0)


def test_a_run_that_goes_on_numbers_its_chunks_and_episodes_on() -> None:
    env, calls = ScriptedEnv(SOLVED, REFUSED, SOLVED, EXECUTED), list[int]()
    worker = RolloutWorker(
        CountingActor(),  # type: ignore[arg-type]
        env,
        config=CONFIG,
        run_id="run",
        sequence_number=7,
        episode=3,
    )
    transitions, episodes = worker.collect(3, on_chunk=lambda: calls.append(len(env.seeds)))
    assert [one.id for one in transitions] == [
        ChunkId("run", 7, 3, 0),
        ChunkId("run", 9, 4, 1),
        ChunkId("run", 10, 5, 0),
    ]
    assert [episode.episode for episode in episodes] == [3, 4]
    assert calls == [1, 2, 3]  # once for each transition, and not for the refused chunk
    seed_of = functools.partial(seeds.episode_seed, seeds.TRAINING, run_seed=CONFIG.run.seed)
    assert env.seeds == [seed_of(episode=number) for number in (3, 4, 5)]
    assert dict(episodes[1].metrics()) == {
        "episode/episode": 4,
        "episode/total_reward": 1.0,
        "episode/success": 1.0,
        "episode/num_chunks": 1,
    }


@pytest.mark.parametrize("sampling", ["balanced", "random"])
@pytest.mark.parametrize("first", [0, 5])
def test_episodes_have_the_prompts_of_the_schedule_and_what_is_recorded_says_so(sampling: str, first: int) -> None:
    """Each episode has two chunks. The rollout ends within the last one, which therefore has a next observation."""
    episode = EpisodeConfig(prompts=("2=cup", "the door"), prompt_sampling=sampling)
    config = dataclasses.replace(CONFIG, episode=episode)
    env = ScriptedEnv(*[EXECUTED, TIME_LIMIT] * 6, EXECUTED, EXECUTED)
    worker = RolloutWorker(CountingActor(), env, config=config, run_id="run", episode=first)  # type: ignore[arg-type]
    transitions, episodes = worker.collect(13)
    schedule = prompt_schedule(config)
    expected = [schedule.prompt(episode=number, num_counted=number) for number in range(first, first + 7)]
    assert set(expected) == {"cup", "the door"}
    assert [one.chunk.source.prompt for one in transitions] == [prompt for prompt in expected for _ in range(2)][:13]
    for one in transitions:
        assert one.chunk.observation.prompt_tokens[0] == len(one.chunk.source.prompt)
        if one.next_observation is not None:
            assert one.next_observation.prompt_tokens[0] == len(one.next_source.prompt)
            assert one.next_source == one.chunk.source
    assert [(one.prompt, one.labels["episode/prompt"]) for one in episodes] == [(each, each) for each in expected[:6]]
    assert episodes[0].metrics()[f"episode/success/{expected[0]}"] == 0.0
    (cut,), _ = worker.collect(1)
    assert (cut.id.episode, cut.chunk.source.prompt) == (first + 6, expected[6])


def test_without_a_list_the_environment_says_the_prompt() -> None:
    worker = RolloutWorker(CountingActor(), ScriptedEnv(SOLVED), config=CONFIG, run_id="run")  # type: ignore[arg-type]
    (transition,), (episode,) = worker.collect(1)
    assert (transition.chunk.source.prompt, episode.prompt, episode.labels) == ("", "", {})
