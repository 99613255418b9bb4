"""Metrics of an episode, of the prompts of a rollout, and of the time of an update.

The script form and the ROS graph both measure them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.prompts.weighted_prompt import WeightedPrompt
from chunk_ppo_ros.core.types import Transition

RUN_TIMES = ("wall", "motion", "resetting", "ready", "running", "paused", "waiting_for_trainer")
"""The names of the times of a run, which are the fields of RunTimes.msg."""
RUNNING_WHEN_ROBOT_DIED = "run/running_when_robot_died"
"""The logged name of the number of chunks that ran when robot_node or the simulator died."""
WALL = "run_time/wall"
"""The logged name of the wall time of a run."""


def episode_metrics(
    *,
    episode: int,
    total_reward: float,
    success: bool,
    num_chunks: int,
    intervened: bool | None = None,
    prompt: str = "",
) -> Metrics:
    """Returns the metrics of a finished episode.

    Args:
        episode: number of the episode within the run.
        total_reward: sum of its chunk rewards.
        success: whether the policy solved the task by itself.
        num_chunks: number of its executed chunks.
        intervened: whether a human took over; None where no human can, which leaves the metric out.
        prompt: the task in words where the run has several, so that each has a curve of its own; empty where it has
            one.
    """
    taken_over = {} if intervened is None else {"episode/intervened": float(intervened)}
    of_prompt = {f"episode/success/{prompt}": float(success)} if prompt else {}
    return Metrics(
        {
            "episode/episode": episode,
            "episode/total_reward": total_reward,
            "episode/success": float(success),
            "episode/num_chunks": num_chunks,
            **taken_over,
            **of_prompt,
        }
    )


def run_time_metrics(times: Mapping[str, float]) -> Metrics:
    """Returns the metrics of where the time of a run went since its beginning.

    Args:
        times: times in seconds by names of `RUN_TIMES`. What is not known is left out.
    """
    return Metrics({f"run_time/{name}": times[name] for name in RUN_TIMES if name in times})


def episode_labels(prompt: str) -> dict[str, str]:
    """Returns the labels of an episode's record: its prompt where the run has several, otherwise none."""
    return {"episode/prompt": prompt} if prompt else {}


def prompt_metrics(transitions: Sequence[Transition], prompts: Sequence[WeightedPrompt]) -> Metrics:
    """Returns the number of chunks of each prompt in a rollout, and their mean reward.

    Args:
        transitions: the transitions of a rollout.
        prompts: the prompts of the run. A prompt without a chunk has a number, but no mean reward.
    """
    rewards: dict[str, list[float]] = {prompt.text: [] for prompt in prompts}
    for transition in transitions:
        rewards.setdefault(transition.chunk.source.prompt, []).append(transition.outcome.reward)
    numbers = {f"rollout/num_chunks/{prompt}": len(of_prompt) for prompt, of_prompt in rewards.items()}
    means = {f"reward/chunk_mean/{prompt}": sum(each) / len(each) for prompt, each in rewards.items() if each}
    return Metrics({**numbers, **means})


def safety_metrics(transitions: Sequence[Transition]) -> Metrics:
    """Returns what the safety layer did with the chunks of a rollout.

    Args:
        transitions: the transitions of a rollout. A chunk that was refused is not among them.
    """
    outcomes = [transition.outcome for transition in transitions]
    executions = [outcome.execution for outcome in outcomes]
    steps = sum(outcome.num_steps for outcome in outcomes)
    clamped = [execution.num_clamped_steps for execution in executions]
    return Metrics(
        {
            "safety/limited_chunks": sum(count > 0 for count in clamped),
            "safety/clamped_share": sum(clamped) / steps if steps else 0.0,
            "safety/max_clamp": float(max((execution.max_clamp for execution in executions), default=0.0)),
            "safety/faults": sum(bool(outcome.fault) for outcome in outcomes),
            "safety/takeovers": sum(outcome.cut_by_takeover for outcome in outcomes),
        }
    )


def time_metrics(*, rollout: float, update: float) -> Metrics:
    """Returns the metrics of the time that a rollout and the update after it took, each in seconds."""
    return Metrics({"time/rollout": rollout, "time/update": update})
