"""Metrics of an episode and of the time of an update, which the script form and the ROS graph both measure."""

from __future__ import annotations

from collections.abc import Mapping

from chunk_ppo_ros.core.metrics import Metrics

RUN_TIMES = ("wall", "motion", "resetting", "ready", "running", "paused", "waiting_for_trainer")
"""The names of the times of a run, which are the fields of RunTimes.msg."""
WALL = "run_time/wall"
"""The logged name of the wall time of a run."""


def episode_metrics(
    *, episode: int, total_reward: float, success: bool, num_chunks: int, intervened: bool | None = None
) -> Metrics:
    """Returns the metrics of a finished episode.

    Args:
        episode: number of the episode within the run.
        total_reward: sum of its chunk rewards.
        success: whether the policy solved the task by itself.
        num_chunks: number of its executed chunks.
        intervened: whether a human took over; None where no human can, which leaves the metric out.
    """
    taken_over = {} if intervened is None else {"episode/intervened": float(intervened)}
    return Metrics(
        {
            "episode/episode": episode,
            "episode/total_reward": total_reward,
            "episode/success": float(success),
            "episode/num_chunks": num_chunks,
            **taken_over,
        }
    )


def run_time_metrics(times: Mapping[str, float]) -> Metrics:
    """Returns the metrics of where the time of a run went since its beginning.

    Args:
        times: times in seconds by names of `RUN_TIMES`. What is not known is left out.
    """
    return Metrics({f"run_time/{name}": times[name] for name in RUN_TIMES if name in times})


def time_metrics(*, rollout: float, update: float) -> Metrics:
    """Returns the metrics of the time that a rollout and the update after it took, each in seconds."""
    return Metrics({"time/rollout": rollout, "time/update": update})
