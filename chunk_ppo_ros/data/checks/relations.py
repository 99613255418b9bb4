"""Findings about states beside actions: copies, arms in another order, grippers the other way round, dead streams."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.findings.verdicts import DataFinding, ask, fine, hint
from chunk_ppo_ros.data.checks.dimensions import arm_joints, grippers, is_whole_arms, names_of
from chunk_ppo_ros.data.checks.lag import Lag, LagSums
from chunk_ppo_ros.data.checks.sources import named
from chunk_ppo_ros.data.checks.survey import Motion, Survey

STILL = 1e-3
"""The range of a dimension up to which it counts as constant, rad or units of the gripper."""

MOVING = 0.1
"""The range of an action above which its state must not be constant, rad or units of the gripper."""

SURE = 0.7
"""The correlation from which on a state surely follows an action, or is the inverse of one."""

CLEARLY = 0.2
"""The difference by which the one correlation must be higher than the other one that it is held against."""

ENOUGH_STEPS = 500
"""The number of steps from which on swapped arms are no chance any more. Some short motions look like it."""


def copied(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Asks about episodes whose actions are the states of the same steps."""
    found = [episode.source for episode in survey.episodes if episode.is_copied]
    if found:
        advice = "a policy would learn to stay where it is: take the commands of the leaders as actions"
        yield hint("copied_actions", f"the actions are the states themselves in {named(found)}", advice, sources=found)


def swapped_arms(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Asks where the state of one arm follows the action of the other."""
    for motion in survey.motions.values():
        for sums in motion.lags.values():
            if motion.dims == (14, 14) and _is_swapped(sums):
                text = (
                    "the state of each arm follows the action of the other one, so their arms are in different orders"
                )
                advice = "write the recording anew with one order; --arm_order turns both and cannot settle it"
                if motion.states.num_steps >= ENOUGH_STEPS:
                    yield ask("swapped_arms", text, advice)
                else:
                    yield hint("swapped_arms", text, advice)


def gripper_directions(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Asks where a gripper's state opens while its action closes."""
    for motion in survey.motions.values():
        if not is_whole_arms(motion.dims):
            continue
        for sums in motion.lags.values():
            lags = sums.lags()
            for index in grippers(motion.dims[0]):
                if _is_inverse(lags[index]):
                    name = names_of(motion.dims[0])[index]
                    text = f"{name}: its state opens while its action closes (correlation {lags[index].lowest:.2f})"
                    advice = "correct the recording, in which 0 must be closed and 1 open for both"
                    yield hint("gripper_direction", text, advice)


def constant(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Yields the dimensions that never move, and asks where a state stands still while its action moves."""
    for motion in survey.motions.values():
        if max(motion.states.num_steps, 1) < 2:
            continue
        still = _still(motion)
        dead = _dead(motion)
        if dead:
            advice = "a sensor or a topic is perhaps dead: correct the recording"
            yield hint("constant", f"states stand still while their actions move: {', '.join(dead)}", advice, dead=dead)
        elif len(still) == sum(motion.dims):
            yield hint("constant", "no state and no action ever moves", "take other recordings")
        elif still:
            yield fine("constant", f"never move: {', '.join(still)}", dimensions=still)


def _is_swapped(sums: LagSums) -> bool:
    own, swapped = sums.lags(), sums.swapped_lags()
    joints = [index for index in arm_joints(14) if np.isfinite(own[index].correlation)]
    pairs = [(own[index].correlation, swapped[index].correlation) for index in joints]
    pairs = [pair for pair in pairs if np.isfinite(pair[1])]
    if len(pairs) < 3:
        return False
    own_correlation, swapped_correlation = np.array(pairs).T
    is_sure = np.median(swapped_correlation) > SURE
    return bool(is_sure and np.median(swapped_correlation - own_correlation) > CLEARLY)


def _is_inverse(lag: Lag) -> bool:
    return bool(-lag.lowest > SURE and -lag.lowest - lag.correlation > CLEARLY)


def _still(motion: Motion) -> list[str]:
    parts = (("state", motion.states), ("action", motion.actions))
    return [
        f"{names_of(len(found.low))[index]} of the {what}"
        for what, found in parts
        for index in np.flatnonzero(found.ranges < STILL)
    ]


def _dead(motion: Motion) -> list[str]:
    if motion.dims[0] != motion.dims[1]:
        return []
    dead = (motion.states.ranges < STILL) & (motion.actions.ranges > MOVING)
    return [names_of(motion.dims[0])[index] for index in np.flatnonzero(dead)]
