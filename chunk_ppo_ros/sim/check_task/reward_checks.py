"""Checks how a task judges random motions: numbers, end states, and whether rewards depend on the scenes alone."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.findings.finding import Finding, error, ok, warn
from chunk_ppo_ros.core.types import total_reward
from chunk_ppo_ros.sim.experts.random_motion import draw_motions
from chunk_ppo_ros.sim.interface import Simulator, StepReward
from chunk_ppo_ros.sim.scene import SceneState
from chunk_ppo_ros.sim.tasks.task import Task
from chunk_ppo_ros.sim.tasks.task_rules import TaskError

REST_STEPS = 50
"""The control steps of standing still in each episode, which are one second."""
TOLERANCE = 1e-9
REST_SHARE = 0.1
"""The share of the largest chunk that a second of rest may earn. Arms sag a little in MuJoCo, which moves them."""


@dataclasses.dataclass(frozen=True)
class Episode:
    """One episode of random motions.

    Attributes:
        rest: the reward of standing still for `REST_STEPS` control steps.
        solved_at_start: whether the task was solved while the arms stood still.
        chunks: the reward of each chunk.
        terms: the sum of each weighted term.
        solved: whether random motions solved the task.
        steps: the number of control steps.
        seconds: the time that the task's own code took, s.
    """

    rest: float
    solved_at_start: bool
    chunks: tuple[float, ...]
    terms: Mapping[str, float]
    solved: bool
    steps: int
    seconds: float


def run_episodes(task: Task[Any], simulator: Simulator, config: TrainConfig, *, episodes: int) -> list[Episode]:
    """Returns episodes of random motions, each after one second of standing still.

    Args:
        task: the task of the simulator.
        simulator: the simulator, without images.
        config: the settings, of which the horizon and the time limit are read.
        episodes: the number of episodes.

    Raises:
        TaskError: where the task raises, or answers what it must not.
    """
    pretrain = dataclasses.replace(config.pretrain, num_demonstrations=episodes)
    chunks = draw_motions(dataclasses.replace(config, pretrain=pretrain), prompts=("",)).actions
    judge = _Judge(task, simulator)
    return [judge.episode(seed, motions) for seed, motions in enumerate(np.split(chunks, episodes))]


class _Judge:
    """Steps the simulator, and asks the task twice about each step."""

    def __init__(self, task: Task[Any], simulator: Simulator) -> None:
        self._task, self._simulator = task, simulator
        self._names: list[str] | None = None

    def episode(self, seed: int, chunks: np.ndarray) -> Episode:
        self._simulator.reset(seed=seed)
        still = self._simulator.state()
        self._steps, self._seconds = 0, 0.0
        rest = [self._step(still) for _ in range(REST_STEPS)]
        sums: list[float] = []
        terms: dict[str, float] = {}
        solved = False
        self._simulator.reset(seed=seed)
        for chunk in chunks:
            sums.append(0.0)
            for target in chunk:
                reward = self._step(target)
                sums[-1] += total_reward(reward.terms)
                for term in reward.terms:
                    terms[term.name] = terms.get(term.name, 0.0) + term.value * term.weight
                solved = solved or reward.success
                if reward.terminated:
                    break
            if reward.terminated:
                break
        return Episode(
            rest=sum(total_reward(reward.terms) for reward in rest),
            solved_at_start=any(reward.success for reward in rest),
            chunks=tuple(sums),
            terms=terms,
            solved=solved,
            steps=self._steps,
            seconds=self._seconds,
        )

    def _step(self, target: np.ndarray) -> StepReward:
        before = self._simulator.scene()
        reward = self._simulator.step(target)
        self._check(reward)
        began = time.perf_counter()
        again = self._ask(before, self._simulator.scene())
        self._seconds += time.perf_counter() - began
        self._steps += 1
        if not _equal(reward, again):
            found = f"step_reward answered {_text(reward)} and then {_text(again)} about the same two scenes"
            raise TaskError(found, "keep nothing between two calls; a reward must depend on the two scenes alone")
        return reward

    def _ask(self, before: SceneState, after: SceneState) -> StepReward:
        observe = self._task.observe
        return self._task.step_reward(observe(before), observe(after))

    def _check(self, reward: StepReward) -> None:
        names = [term.name for term in reward.terms]
        self._names = self._names or names
        if names != self._names:
            found = f"each step must have the same terms, got {', '.join(self._names)} and then {', '.join(names)}"
            raise TaskError(found, "return every term in every step, with the value 0 where it is nothing")


def numbers(episodes: list[Episode], config: TrainConfig) -> Iterator[Finding]:
    """Judges what random motions earned."""
    yield ok("terms", f"{sum(one.steps for one in episodes)} steps have finite terms, which depend on two scenes alone")
    sums = {name: [one.terms.get(name, 0.0) for one in episodes] for name in episodes[0].terms}
    for name, values in sums.items():
        found = f"{np.mean(values):.3g} an episode of random motions ({min(values):.3g}..{max(values):.3g})"
        yield ok(f"term {name}", found)
    largest, limit = _largest(episodes), config.reward.max_chunk_reward
    if largest > limit:
        advice = "lower the weights, or raise reward.max_chunk_reward; trainer_node sets such chunks aside"
        yield error("size", f"a chunk earned {largest:.3g}, and reward.max_chunk_reward is {limit:g}", advice)
    else:
        yield ok("size", f"a chunk earned at most {largest:.3g}; reward.max_chunk_reward is {limit:g}")


def standing_still(episodes: list[Episode]) -> Iterator[Finding]:
    """Judges what doing nothing earns. A policy finds out when that pays."""
    most = max(one.rest for one in episodes)
    found = f"a second of it earned up to {most:.2g}"
    if most > REST_SHARE * _largest(episodes):
        yield warn("standing still", found, "pay for what changes between the two scenes, not for where they are")
    else:
        yield ok("standing still", found)


def ends(episodes: list[Episode]) -> Iterator[Finding]:
    """Judges how often the task is solved without skill."""
    at_start = sum(one.solved_at_start for one in episodes)
    by_chance = sum(one.solved for one in episodes)
    if at_start:
        advice = "keep the layouts away from the goal"
        yield error("start", f"{at_start} of {len(episodes)} episodes are solved before anything moves", advice)
    else:
        yield ok("start", f"none of {len(episodes)} episodes is solved before anything moves")
    if by_chance > len(episodes) / 2:
        advice = "make the goal smaller, or the layouts harder; there is little to learn"
        yield warn("chance", f"random motions solved {by_chance} of {len(episodes)} episodes", advice)
    else:
        yield ok("chance", f"random motions solved {by_chance} of {len(episodes)} episodes")


def speed(episodes: list[Episode]) -> Iterator[Finding]:
    """Judges how long the task's own code takes in a control step."""
    each = 1e3 * sum(one.seconds for one in episodes) / sum(one.steps for one in episodes)
    found = f"observe and step_reward take {each:.2f} ms a control step"
    if each > 5.0:
        yield warn("speed", found, "compute less in them; a control step of the robot has 20 ms")
    else:
        yield ok("speed", found)


def _largest(episodes: list[Episode]) -> float:
    return max(abs(chunk) for one in episodes for chunk in one.chunks)


def _equal(one: StepReward, other: StepReward) -> bool:
    return one == other or (
        (one.terminated, one.success) == (other.terminated, other.success)
        and [term.name for term in one.terms] == [term.name for term in other.terms]
        and np.allclose([term.value for term in one.terms], [term.value for term in other.terms], atol=TOLERANCE)
    )


def _text(reward: StepReward) -> str:
    terms = ", ".join(f"{term.name} {term.value:.6g}" for term in reward.terms)
    return f"({terms}; terminated {reward.terminated}, success {reward.success})"
