"""A motion that no policy and no human asked for: to the start pose, to the sleep pose, or a test of a joint.

It is planned here as a path of targets, and played like a chunk, through the same gate. Nothing of it is trained on,
because it has no result of a chunk.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import Status
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.gate import MAX_SLOWDOWN, ChunkEnding, Gate
from chunk_ppo_ros.robot.player.running_execution import PlayedChunk

ACCELERATION = 2.0
"""The largest acceleration of a planned path, rad/s^2, or half of robot.max_acceleration where that is smaller."""
PEAK_SPEED = 1.875
"""The largest speed of a minimum-jerk motion, as a multiple of its mean speed; 30/16 at half of the time."""
PEAK_ACCELERATION = 5.7736
"""The largest acceleration of a minimum-jerk motion over a distance d in a time T, as a multiple of d / T^2."""
SPEED_MARGIN = 1.2
"""The factor by which the gate lets a motion be faster than planned, so that the plan is what counts."""
STAMP = -1
"""The stamp of a scripted motion in the player. No chunk has it."""
AT_POSE = 0.1
"""The distance from a pose within which an arm counts as there, rad. An arm sags by some of it."""
LEAST_PATIENCE = 50
"""The commands that a motion may take longer than planned, whatever its length."""
TOLERANCE = 1e-6
"""The distance by which a pose may lie outside the ranges because numbers are rounded; rad, grippers normalized."""


class MotionRefused(Exception):
    """A scripted motion must not begin. The text says why, and what to do."""


@dataclasses.dataclass(frozen=True)
class MotionRequest:
    """Says where the arms shall be moved slowly.

    Attributes:
        name: what the motion is for, for people and recordings.
        poses: float64 [n, 14] with n >= 1, the poses one after another, rad and normalized grippers. The robot rests at
            each. A joint whose number is NaN stays where it is, or goes into its range where it is outside.
        speed: the largest speed of a joint, rad/s, and of a gripper, openings a second.
    """

    name: str
    poses: np.ndarray
    speed: float


@dataclasses.dataclass(frozen=True)
class MotionEnd:
    """Says how a scripted motion ended.

    Attributes:
        status: EXECUTED where the robot was commanded to the last pose and followed.
        message: the reason where the status is another one.
    """

    status: Status
    message: str


@dataclasses.dataclass
class ScriptedMotion(PlayedChunk):
    """Represents a scripted motion that is being executed, or has ended.

    Attributes:
        name: what it is for.
        speed: the part of the speed limit that the gate allows.
        end: how it ended, or None while it is executed.
    """

    name: str = dataclasses.field(kw_only=True)
    speed: float = dataclasses.field(kw_only=True)
    end: MotionEnd | None = None


def check_request(request: MotionRequest, config: RobotConfig) -> None:
    """Checks a request.

    Raises:
        MotionRefused: if the poses have another shape, lie outside the joint ranges, or the speed is too high.
    """
    poses = request.poses
    if poses.ndim != 2 or poses.shape[1] != aloha.ACTION_DIM or not len(poses):
        raise MotionRefused(f"poses must have shape (n, {aloha.ACTION_DIM}) with n >= 1, got {poses.shape}")
    outside = (poses < aloha.LOWER_LIMITS - TOLERANCE) | (poses > aloha.UPPER_LIMITS + TOLERANCE) | np.isinf(poses)
    if np.any(outside):
        pose, dimension = np.argwhere(outside)[0]
        raise MotionRefused(
            f"dimension {dimension} of a pose must be within {aloha.LOWER_LIMITS[dimension]:g}.."
            f"{aloha.UPPER_LIMITS[dimension]:g}, or NaN for a joint that stays, got {poses[pose, dimension]:g}"
        )
    if not 0.0 < request.speed <= config.scripted_velocity:
        raise MotionRefused(
            f"the speed must be above 0 and at most {config.scripted_velocity:g} rad/s (robot.scripted_velocity), got "
            f"{request.speed:g}"
        )


def ending_of(motion: ScriptedMotion, gate: Gate) -> ChunkEnding | None:
    """Returns how a scripted motion ends after the commands that were sent, or None where it goes on.

    It ends when the robot can rest at the last pose. If the limits keep it away for half as long as the motion was
    planned to take, it is LIMITED, and also where a limit keeps it away for good.
    """
    num_asked, last = len(motion.targets), motion.targets[-1]
    if motion.num_commands < num_asked:
        return None
    distance = np.abs(motion.commanded[-1] - last)
    worst, name = aloha.worst_joint(distance)
    if distance[worst] <= TOLERANCE and gate.has_arrived(last):
        return ChunkEnding(Status.EXECUTED)
    if motion.num_commands < MAX_SLOWDOWN * num_asked + LEAST_PATIENCE:
        return None
    why = f"the limits of the robot keep the {name} {distance[worst]:.2f} rad away from the pose"
    return ChunkEnding(Status.LIMITED, why, has_arrived=False)


def away_from(pose: np.ndarray, measured: np.ndarray) -> str:
    """Returns which arm joint is not at a pose, or an empty string. Beyond the range an arm counts as at its border.

    Args:
        pose: float [14], within the joint ranges.
        measured: float [14], where the robot is.
    """
    distance = np.abs(np.clip(measured, aloha.LOWER_LIMITS, aloha.UPPER_LIMITS) - pose)
    worst, name = aloha.worst_joint(distance)
    if distance[worst] <= AT_POSE:
        return ""
    return f"the {name} must be within {AT_POSE} rad of {pose[worst]:.2f} rad, got {measured[worst]:.2f}"


def plan(request: MotionRequest, start: np.ndarray, config: RobotConfig) -> ScriptedMotion:
    """Returns the motion from `start`, float [14], through the poses of a request that was checked.

    All joints move at the same time along a straight line in joint space, and with minimum jerk: a joint has gone the
    part 10 t^3 - 15 t^4 + 6 t^5 of its way after the part t of the time (Flash and Hogan 1985, equation 3).
    """
    period = 1.0 / config.control_rate
    largest = config.max_acceleration or np.inf
    acceleration = min(ACCELERATION, 0.5 * largest)
    targets, here = [], np.asarray(start, np.float64)
    for pose in request.poses:
        there = np.where(np.isnan(pose), here, pose).clip(aloha.LOWER_LIMITS, aloha.UPPER_LIMITS)
        distance = float(np.max(np.abs(there - here)))
        seconds = max(
            PEAK_SPEED * distance / request.speed, float(np.sqrt(PEAK_ACCELERATION * distance / acceleration))
        )
        time = np.linspace(0.0, 1.0, max(2, int(np.ceil(seconds / period)) + 1))[1:, None]
        targets.append(here + (there - here) * (10.0 * time**3 - 15.0 * time**4 + 6.0 * time**5))
        targets[-1][-1] = here = there
    speed = min(1.0, SPEED_MARGIN * request.speed / config.max_velocity)
    return ScriptedMotion(STAMP, 0.0, targets=np.concatenate(targets), name=request.name, speed=speed)
