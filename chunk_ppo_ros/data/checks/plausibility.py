"""Findings about units: joints and grippers that are far outside of what the robot can do, with the likely unit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.findings.verdicts import DataFinding, ask, fine, refuse
from chunk_ppo_ros.data.checks.dimensions import arm_joints, grippers, is_whole_arms, names_of
from chunk_ppo_ros.data.checks.sources import named
from chunk_ppo_ros.data.checks.survey import EpisodeSummary, Motion, Survey
from chunk_ppo_ros.data.checks.vector_statistics import VectorStatistics
from chunk_ppo_ros.robot import aloha

JOINT_MARGIN = 1.0
"""The angle beyond a joint's limits from which on it is refused, rad.

Leaders reach somewhat further than followers, and poses are measured with an error. Neither explains 57 degrees.
"""

OPENINGS = (-0.3, 1.3)
"""The openings of grippers that are taken for real.

With the fingers of another linkage than that of the convention they are -0.19 to 1.11.
"""

FAR_OPENINGS = (-2.0, 2.0)
"""The openings beyond which a gripper is refused. A motor's angle in rad stays within."""

_FINGERS_M, _FINGERS_MM = (0.01, 0.07), (10.0, 70.0)
_MOVING_FINGER_M = 0.01
"""The range from which on a finger surely moves, m. A gripper at rest moves less, as an opening."""


_MOST_OF_RADIANS = float(np.radians(np.pi + 0.2))
"""The largest joint, rad, of recordings in rad that were taken for degrees."""


def ranges(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Yields a table of the ranges of all dimensions, beside the robot's limits."""
    for motion in survey.motions.values():
        yield fine("ranges", _HEADING, _table(motion), **_as_values(motion))


def needless_units(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Asks about joints that --joint_unit deg made so small that they were surely in rad before."""
    for motion in survey.motions.values():
        if config.recordings.joint_unit != "deg" or not is_whole_arms(motion.dims):
            continue
        joints = arm_joints(motion.dims[0])
        parts = (motion.states, motion.actions)
        largest = max(float(np.maximum(-part.low[joints], part.high[joints]).max()) for part in parts)
        if largest <= _MOST_OF_RADIANS:
            text = f"with --joint_unit deg no joint is ever beyond {np.degrees(largest):.3g} deg"
            yield ask("state_joint_unit", text, "the recordings are perhaps in rad: leave the flag out")


def joint_units(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Refuses arm joints that are far outside of the limits, and names the unit that they are likely in."""
    for motion in survey.motions.values():
        if not is_whole_arms(motion.dims):
            continue
        episodes = [each for each in survey.episodes if each.dims == motion.dims]
        yield from _joints(motion.states, "state", episodes, config)
        yield from _joints(motion.actions, "action", episodes, config)


def gripper_units(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Refuses or asks about grippers that are not normalized."""
    for motion in survey.motions.values():
        if is_whole_arms(motion.dims):
            for index in grippers(motion.dims[0]):
                yield from _gripper(motion.states, int(index), "state", motion.actions)
                yield from _gripper(motion.actions, int(index), "action", motion.states)


def _joints(
    found: VectorStatistics, what: str, episodes: Sequence[EpisodeSummary], config: TrainConfig
) -> Iterator[DataFinding]:
    dim = len(found.low)
    joints = arm_joints(dim)
    below, above = aloha.LOWER_LIMITS[joints] - found.low[joints], found.high[joints] - aloha.UPPER_LIMITS[joints]
    beyond = np.maximum(below, above)
    if beyond.max() <= JOINT_MARGIN:
        return
    worst = int(joints[np.argmax(beyond)])
    is_high = above[np.argmax(beyond)] >= below[np.argmax(beyond)]
    value, place = (found.high, found.high_at) if is_high else (found.low, found.low_at)
    text = (
        f"{names_of(dim)[worst]} of the {what} is {value[worst]:.4g} rad in {place[worst]}, and its limits are "
        f"{aloha.LOWER_LIMITS[worst]:.2f}..{aloha.UPPER_LIMITS[worst]:.2f} rad"
    )
    yield refuse(f"{what}_joint_unit", text, _joint_advice(found, joints, episodes, config), value=float(value[worst]))


def _joint_advice(
    found: VectorStatistics, joints: np.ndarray, episodes: Sequence[EpisodeSummary], config: TrainConfig
) -> str:
    margin = 0.2
    low, high = np.radians(found.low[joints]), np.radians(found.high[joints])
    fits = (low > aloha.LOWER_LIMITS[joints] - margin) & (high < aloha.UPPER_LIMITS[joints] + margin)
    if config.recordings.joint_unit == "deg":
        return "--joint_unit deg is set; perhaps the recording is in rad, or leave the episode out"
    largest = np.maximum(-found.low[joints], found.high[joints])
    # A single joint may have turned once too often; several beyond a turn are in another unit.
    if fits.all() and (np.count_nonzero(largest > np.pi + JOINT_MARGIN) > 1 or largest.max() > 4 * np.pi):
        return f"it is likely in degrees: {_degrees_advice(episodes)}"
    return "the joint has perhaps turned once too often, or one value is wrong: leave the episode out"


def _degrees_advice(episodes: Sequence[EpisodeSummary]) -> str:
    """Returns what to do about degrees. `--joint_unit` turns states and actions of all episodes."""
    far = [[largest > np.pi + JOINT_MARGIN for largest in episode.largest] for episode in episodes]
    mixed = [episode.source for episode, parts in zip(episodes, far, strict=True) if parts[0] != parts[1]]
    if mixed:
        return (
            f"in {named(mixed)} only states or only actions are, and --joint_unit turns both: leave these out by "
            "--leave_out_episodes, or write them anew"
        )
    some = [episode.source for episode, parts in zip(episodes, far, strict=True) if parts[0]]
    if len(some) < len(episodes):
        return f"{named(some)} are, and the others are not: read each kind by itself, these with --joint_unit deg"
    return "set --joint_unit deg"


def _gripper(found: VectorStatistics, index: int, what: str, other: VectorStatistics) -> Iterator[DataFinding]:
    low, high = float(found.low[index]), float(found.high[index])
    name, flag = names_of(len(found.low))[index], f"--{what}_gripper_unit"
    at = found.high_at[index] if high > OPENINGS[1] else found.low_at[index]
    text = f"{name} of the {what} is {low:.4g}..{high:.4g} in place of 0 (closed) to 1 (open), for example in {at}"
    key = f"{what}_gripper_unit"
    if low < FAR_OPENINGS[0] or high > FAR_OPENINGS[1]:
        yield refuse(key, text, f"{_far_unit(low, high)}: set {flag}", low=low, high=high)
    elif low < OPENINGS[0] or high > OPENINGS[1]:
        advice = f"it is perhaps the motor's angle in rad: set {flag} motor_rad, or another unit"
        yield ask(key, text, advice, low=low, high=high)
    elif _is_fingers_in_meters(low, high, other, index):
        advice = f"it is perhaps the position of a finger in m: set {flag} finger_m"
        yield ask(key, text, advice, low=low, high=high)


def _far_unit(low: float, high: float) -> str:
    if _FINGERS_MM[0] <= low and high <= _FINGERS_MM[1]:
        return "it is likely the position of a finger in mm (finger_mm), or else percent or interbotix_2"
    if low >= 30.0 and high <= 130.0:
        return "it is likely the state of Interbotix's ALOHA 2.0 recorder (interbotix_2), or else percent"
    if low >= -10.0 and high <= 115.0:
        return "it is likely an opening in percent (percent), or else finger_mm or motor_deg"
    return "it is likely the motor's angle in degrees (motor_deg)"


def _is_fingers_in_meters(low: float, high: float, other: VectorStatistics, index: int) -> bool:
    """Returns whether a gripper's range is that of a finger in m, beside the range of the state or action of it."""
    beside_opening = _FINGERS_M[0] <= low and high <= _FINGERS_M[1] and high - low > 0.004 and other.ranges[index] > 0.2
    both_low = max(high, float(other.high[index])) <= _FINGERS_M[1]
    both_move = min(high - low, float(other.ranges[index])) > _MOVING_FINGER_M
    return bool(beside_opening or (both_low and both_move))


_HEADING = "joints in deg (limits of the robot beside), grippers as openings, other dimensions as recorded:"


def _table(motion: Motion) -> list[str]:
    dims = motion.dims
    known = is_whole_arms(dims)
    columns = f"{'min':>8}{'q01':>8}{'q99':>8}{'max':>8}"
    lines = [f"{'':<22}{'state':>8}{'':>24}   {'action':>7}", f"{'':<22}{columns}   {columns}{'limits':>17}"]
    for index in range(max(dims)):
        name = names_of(max(dims))[index]
        scale = 180.0 / np.pi if known and index in arm_joints(dims[0]) else 1.0
        cells = [_cells(part, index, scale) for part in (motion.states, motion.actions)]
        limits = f"{aloha.LOWER_LIMITS[index] * scale:8.4g} ..{aloha.UPPER_LIMITS[index] * scale:6.4g}" if known else ""
        lines.append(f"{name:<22}{cells[0]}   {cells[1]}{limits}".rstrip())
    return lines


def _cells(found: VectorStatistics, index: int, scale: float) -> str:
    if index >= len(found.low):
        return " " * 32
    q01, q99 = found.quantiles()[:, index]
    values = (found.low[index], q01, q99, found.high[index])
    return "".join(f"{_rounded(value * scale):>8}" for value in values)


def _rounded(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def _as_values(motion: Motion) -> dict[str, object]:
    """Returns the table for programs: of states and actions [min, q01, q99, max] by dimension, rad and openings."""
    values: dict[str, object] = {}
    for name, found in (("states", motion.states), ("actions", motion.actions)):
        rows = zip(found.low, *found.quantiles(), found.high, strict=True)
        names = names_of(len(found.low))
        values[name] = {each: [float(value) for value in row] for each, row in zip(names, rows, strict=True)}
    return values
