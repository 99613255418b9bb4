"""Knows whether what robot_node lacks is usual, because it was started only a moment ago.

This decides how bad it is said to be, on /diagnostics and in the log. It decides nothing about the robot, which does
not move before its drivers are ready and its joint states are known.
"""

from __future__ import annotations

from chunk_ppo_ros.nodes.robot.robot_backends import RobotBackend, only_waits, problem_of

START_PATIENCE = 15.0
"""The time after the start for which drivers and joint states that are not there yet are usual, s. The preparation of
an arm takes about a second, and drivers that were started together with this node may need some seconds until they run.
"""


class StartWait:
    """Tells the waits of a usual start from all else that keeps the robot from moving.

    Args:
        backend: the back end, which knows what its drivers lack.
        began: when the node was started, steady s.
    """

    def __init__(self, backend: RobotBackend, *, began: float) -> None:
        self._backend = backend
        self._began = began

    def lasts(self, now: float) -> bool:
        """Returns whether the node was started so lately that something may be missing. `now` is steady s."""
        return now - self._began < START_PATIENCE

    def usual(self, obstacle: str, *, now: float) -> str:
        """Returns that drivers are waited for, where an obstacle is nothing else in the usual time after the start.

        Args:
            obstacle: why the robot must not move, or an empty string.
            now: the steady time, s.

        Returns:
            A sentence with the obstacle; empty where the obstacle is something else, or lasts for longer.
        """
        is_of_backend = bool(obstacle) and obstacle == problem_of(self._backend)
        if is_of_backend and only_waits(self._backend) and self.lasts(now):
            return f"waits for the drivers of the arms: {obstacle}"
        return ""
