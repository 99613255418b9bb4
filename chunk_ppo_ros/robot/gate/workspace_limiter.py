"""Keeps the watched points of the arms in their workspaces: in their boxes and above the table.

An arm is never so fast that it could not stop inside. A step is allowed where the commands that would follow it if the
arm braked from then on, each joint as quickly as its acceleration allows, keep the watched points inside. The step that
brakes at once was then allowed by the step before, so that an allowed step always exists, and speed, acceleration and
joint ranges hold too. From outside no watched point moves farther out of a side.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.braking import braked_step, braking_path, stopping_step
from chunk_ppo_ros.robot.gate.workspace import TOLERANCE, Workspace

AIM = 1e-3
"""The distance inside a side at which the arm is aimed that would leave it, m. It moves along the side."""
PARTS = np.array([0.75, 0.5, 0.3, 0.15, 0.05])
"""The parts of a motion that are tried, beside braking."""
NUM_CORRECTIONS = 3
"""The number of corrections after which the aim is taken."""
DAMPING = 0.02
"""The damping of the corrections, m/rad. Larger ones are steadier where a point can hardly be moved."""
DIFFERENCE = 1e-6
"""The difference of a joint for derivatives, rad."""
PROGRESS = 1e-7
"""The smallest change of the squared distance to a target that counts as nearer, rad^2."""
NEAR = 0.03
"""The distance from a side within which a correction looks at it, m."""
NUM_SWEEPS = 10
"""The number of times that a correction looks at each of these sides."""
UNLIMITED = 1e9
"""Stands for an infinite change of a step, rad."""


@dataclasses.dataclass(frozen=True)
class Reach:
    """The steps that speed and acceleration allow an arm, all float [7].

    Attributes:
        lowest: the smallest step of each joint, rad.
        highest: the largest step.
        change: the largest change of a step from one command to the next; infinite for the gripper.
    """

    lowest: np.ndarray
    highest: np.ndarray
    change: np.ndarray


class WorkspaceLimiter:
    """Changes the steps of one arm that would lead out of its workspace.

    Args:
        side: "left" or "right".
        workspace: the workspace of the arm.

    Attributes:
        part: the slice of the arm's numbers among the 14.
    """

    def __init__(self, side: str, workspace: Workspace) -> None:
        self.part = aloha.side_slice(side)
        self._workspace = workspace
        self._lower, self._upper = aloha.LOWER_LIMITS[self.part], aloha.UPPER_LIMITS[self.part]

    def limit(
        self, wanted: np.ndarray, target: np.ndarray, start: np.ndarray, last_step: np.ndarray, reach: Reach
    ) -> np.ndarray:
        """Returns the wanted step where it is allowed, else one along the border or a part of it, or braking.

        A step in the place of the wanted one must lead nearer to the target: the place at which the arm would come to
        rest must, which braking does not change. So the arm comes to rest at the border, and does not swing there.

        Args:
            wanted: float [7], the wanted step, which speed and acceleration allow.
            target: float [7], where the step shall lead in the end.
            start: float [7], the last command.
            last_step: float [7], the step that led to it.
            reach: the steps that are allowed otherwise.
        """
        change = np.minimum(reach.change, UNLIMITED)
        brake = braked_step(last_step, change)
        step = wanted
        for number in range(NUM_CORRECTIONS + 1):
            path = braking_path(step[None], start, change)
            excess = self._excess(path)
            if _are_allowed(excess)[0] and (number == 0 or self._leads_on(path, target, start, brake, change)[0]):
                return step
            if number < NUM_CORRECTIONS:
                rest = self._corrected(path[0, -1], excess[0], start)
                longest = np.sign(rest - start) * stopping_step(np.abs(rest - start), reach.change)
                step = _shortened(longest, brake, reach)
        return self._part_of((step, wanted), target, start, brake, change)

    def _excess(self, paths: np.ndarray) -> np.ndarray:
        """Returns the excess [n, k, 24] of the commands of n ways, float [n, k, 7]."""
        return self._workspace.excess(paths.reshape(-1, paths.shape[-1])).reshape(*paths.shape[:2], -1)

    def _corrected(self, rest: np.ndarray, excess: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Returns a place of rest inside, float [7], by the least change of the joints (damped least squares).

        Args:
            rest: float [7], the place of rest that is corrected.
            excess: float [k, 24], the excess at the last command and on the way.
            start: float [7], the last command.
        """
        beyond = np.max(excess[1:], axis=0) - np.maximum(excess[0], 0.0) + AIM
        sides = np.flatnonzero(beyond > -NEAR)
        rest = rest - _least_change(self._jacobian(rest)[sides], beyond[sides])
        return np.clip(rest, np.minimum(self._lower, start), np.maximum(self._upper, start))

    def _part_of(
        self,
        ways: tuple[np.ndarray, ...],
        target: np.ndarray,
        start: np.ndarray,
        brake: np.ndarray,
        change: np.ndarray,
    ) -> np.ndarray:
        """Returns the largest allowed part of the first of the ways [7] that has one, else the step that brakes."""
        parts = np.append(PARTS, 0.0)[:, None]
        steps = np.concatenate([brake + parts * (way - brake) for way in ways])
        steps[:, -1] = np.repeat([way[-1] for way in ways], len(parts))  # A gripper has no speed to brake.
        paths = braking_path(steps, start, change)
        leads_on = self._leads_on(paths, target, start, brake, change)
        leads_on |= np.all(steps[:, :-1] == brake[:-1], axis=1)  # A gripper may move where the arm brakes.
        allowed = np.flatnonzero(_are_allowed(self._excess(paths)) & leads_on)
        return steps[allowed[0]] if len(allowed) else brake

    def _leads_on(
        self, paths: np.ndarray, target: np.ndarray, start: np.ndarray, brake: np.ndarray, change: np.ndarray
    ) -> np.ndarray:
        """Returns which ways, float [n, k, 7], end nearer to the target than braking at once does, bool [n]."""
        ends = np.concatenate([braking_path(brake[None], start, change)[:, -1], paths[:, -1]])
        distances = np.sum((ends - target)[:, :-1] ** 2, axis=1)
        return distances[1:] < distances[0] - PROGRESS

    def _jacobian(self, pose: np.ndarray) -> np.ndarray:
        """Returns the derivatives [24, 7] of the excess by the joints, m/rad, as differences."""
        poses = pose + DIFFERENCE * np.concatenate([np.zeros((1, len(pose))), np.eye(len(pose))])
        excess = self._workspace.excess(poses)
        return (excess[1:] - excess[0]).T / DIFFERENCE


def _are_allowed(excess: np.ndarray) -> np.ndarray:
    """Returns in which of n ways no point moves farther out, bool [n], from the excess [n, k, 24] of their commands."""
    return np.all(np.diff(np.maximum(excess, 0.0), axis=1) <= TOLERANCE, axis=(1, 2))


def _shortened(step: np.ndarray, brake: np.ndarray, reach: Reach) -> np.ndarray:
    """Returns the step nearest to `step` that reach allows, on the way from the step that brakes; all float [7].

    Each joint is shortened by the same part, because a joint alone would turn the motion toward a side.
    """
    step = np.append(step[:-1], np.clip(step[-1], reach.lowest[-1], reach.highest[-1]))
    way = step - brake
    room = np.where(way > 0.0, reach.highest, reach.lowest) - brake
    parts = np.divide(room, way, out=np.ones_like(way), where=np.abs(way) > TOLERANCE)
    return brake + min(1.0, float(np.min(parts))) * way


def _least_change(jacobian: np.ndarray, needed: np.ndarray) -> np.ndarray:
    """Returns the shortest change x, float [7], with J x >= needed, or near it where there is none.

    The method is that of Hildreth (1957): one multiplier after the other is set so that its own condition holds.

    Args:
        jacobian: float [m, 7], the derivatives J.
        needed: float [m], the change of the excess that is needed; negative where it may even grow.
    """
    products = (jacobian @ jacobian.T + DAMPING**2 * np.eye(len(needed))).tolist()
    multipliers = [0.0] * len(needed)
    for _ in range(NUM_SWEEPS):
        for index, (row, least) in enumerate(zip(products, needed.tolist(), strict=True)):
            held = sum(product * multiplier for product, multiplier in zip(row, multipliers, strict=True))
            multipliers[index] = max(0.0, multipliers[index] + (least - held) / row[index])
    return jacobian.T @ np.array(multipliers)
