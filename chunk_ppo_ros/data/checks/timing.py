"""Findings about time: control rates, gaps, the lag of states behind actions, and idle starts and ends."""

from __future__ import annotations

import collections
from collections.abc import Iterator

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.findings.verdicts import DataFinding, ask, fine, hint
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.data.checks.dimensions import is_whole_arms, names_of
from chunk_ppo_ros.data.checks.lag import Lag
from chunk_ppo_ros.data.checks.sources import named
from chunk_ppo_ros.data.checks.survey import Survey

MAX_GAP_STEPS = 3.0
"""The longest time between two steps that is no gap, in control steps."""

MAX_RATE_ERROR = 0.05
"""The relative difference between the stated and the recorded rate from which on somebody is asked."""

MAX_SPEED = 10.0
"""The speed of a joint from which on a change of its state is called a jump, rad/s. ALOHA's motors reach about 5."""

MAX_LAG = 1.0
"""The longest lag that is taken for real, s."""

MAX_IDLE_SHARE = 0.5
"""The share of steps without motion at starts and ends from which on somebody is asked."""


def rates(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Yields the control rates, and asks where the recorded times tell another one."""
    counts = collections.Counter(episode.rate for episode in survey.episodes)
    wrong = [
        f"{episode.source} ({episode.rate:g} Hz said, {episode.measured_rate:.4g} Hz by its times)"
        for episode in survey.episodes
        if episode.measured_rate and abs(episode.measured_rate / episode.rate - 1.0) > MAX_RATE_ERROR
    ]
    if wrong:
        yield ask("rates", f"the recorded times tell another rate: {named(wrong)}", "correct the recording's rate")
    elif counts:
        shown = ", ".join(f"{rate:g} Hz ({count_of(number, 'episode')})" for rate, number in counts.items())
        target = config.robot.control_rate
        resampled = f"; resampled to {target:g} Hz (--control_rate)" if set(counts) != {target} else ""
        yield fine("rates", f"{shown}{resampled}", rates=sorted(counts))


def gaps(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Asks about times between two steps that are much longer than others."""
    timed = [episode for episode in survey.episodes if episode.measured_rate]
    found = [
        f"{episode.gap:.3f} s before step {episode.gap_step} of {episode.source}"
        for episode in timed
        if episode.gap * episode.rate > MAX_GAP_STEPS
    ]
    if found:
        advice = "leave such episodes out by --leave_out_episodes"
        yield ask("gaps", f"steps are missing: {named(found)}", advice, gaps=found)
    elif timed:
        longest = max(timed, key=lambda episode: episode.gap)
        yield fine("gaps", f"the longest time between two steps is {longest.gap * 1000:.0f} ms, in {longest.source}")
    elif survey.episodes:
        yield fine("gaps", "not known, because the recordings have no times")


def jumps(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Asks about states that change faster between two steps than a joint can turn, as where two takes were joined."""
    found = [
        f"{names_of(episode.dims[0])[episode.jump_joint]} by {episode.jump:.2f} rad before step {episode.jump_step} of "
        f"{episode.source}"
        for episode in survey.episodes
        if is_whole_arms(episode.dims) and episode.jump * episode.rate > MAX_SPEED
    ]
    if found:
        advice = "steps are perhaps missing, or two takes are one episode: leave such episodes out by "
        text = f"states change faster than {MAX_SPEED:g} rad/s between two steps: {named(found)}"
        yield hint("jumps", text, f"{advice}--leave_out_episodes", jumps=found)
    elif survey.episodes:
        yield fine("jumps", f"no joint changes faster than {MAX_SPEED:g} rad/s between two steps")


def lags(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Yields the lag of states behind actions by joint, and asks about lags that a robot cannot have."""
    known: dict[str, float] = {}
    odd: dict[str, float] = {}
    for motion in survey.motions.values():
        for sums in motion.lags.values():
            named_lags = zip(names_of(motion.dims[0]), sums.lags(), strict=True)
            for name, lag in ((name, lag) for name, lag in named_lags if lag.is_known):
                known[name] = lag.seconds * 1000
                if _is_odd(lag):
                    odd[name] = lag.seconds * 1000
    values = {"lags_ms": {name: round(value, 1) for name, value in known.items()}}
    if odd:
        shown = ", ".join(f"{name} {value:.0f} ms" for name, value in odd.items())
        yield hint(
            "lag",
            f"states must follow actions by more than 0 and at most {MAX_LAG * 1000:.0f} ms, got {shown}",
            "actions and states are then perhaps shifted against each other, or actions are measured poses",
            **values,
        )
    elif known:
        middle = float(np.median(list(known.values())))
        details = _wrapped([f"{name} {value:.0f}" for name, value in known.items()])
        text = f"states follow actions by {middle:.0f} ms (median of joints); by joint, ms:"
        yield fine("lag", text, details, **values)
    elif survey.episodes:
        yield fine("lag", "not known, because no joint's state clearly follows its action")


def idle(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Yields how long the robot does not move at starts and ends, and asks where that is most of the time."""
    if not survey.episodes:
        return
    starts = [episode.idle_steps[0] / episode.rate for episode in survey.episodes]
    ends = [episode.idle_steps[1] / episode.rate for episode in survey.episodes]
    total = sum(episode.num_steps / episode.rate for episode in survey.episodes)
    share = (sum(starts) + sum(ends)) / total
    most = max(range(len(starts)), key=lambda number: starts[number] + ends[number])
    text = (
        f"at starts {np.mean(starts):.2f} s and at ends {np.mean(ends):.2f} s on average, {share:.0%} of all steps; "
        f"most in {survey.episodes[most].source} ({starts[most]:.2f} s and {ends[most]:.2f} s)"
    )
    if share > MAX_IDLE_SHARE:
        yield hint("idle", text, "a policy learns to wait: cut the recordings, or leave episodes out", share=share)
    else:
        yield fine("idle", text, share=share)


def _is_odd(lag: Lag) -> bool:
    return not 0 < lag.seconds <= MAX_LAG


def _wrapped(words: list[str], number: int = 7) -> list[str]:
    return [", ".join(words[first : first + number]) for first in range(0, len(words), number)]
