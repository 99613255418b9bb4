"""Logs why the arms are not commanded, once at each change. A wait that is usual after a start is no warning."""

from __future__ import annotations

from rclpy.impl.rcutils_logger import RcutilsLogger

from chunk_ppo_ros.nodes.robot.start_wait import START_PATIENCE


class ProblemLog:
    """Logs the problem of the drivers when it changes, and once more when the patience after a start is over.

    Args:
        logger: the logger of the node.
        began: when the node began to prepare the drivers, steady s.
    """

    def __init__(self, logger: RcutilsLogger, *, began: float) -> None:
        self._logger = logger
        self._began = began
        self._logged = ("", False)  # the problem that was logged last, and whether it was a warning

    def note(self, problem: str, *, is_first_wait: bool, now: float) -> bool:
        """Logs a change. Returns whether a problem that was logged is gone.

        Args:
            problem: why the arms are not commanded, or an empty string.
            is_first_wait: whether this is because drivers are waited for that were never prepared, and nothing else.
            now: the steady time, s.
        """
        is_warning = bool(problem) and not (is_first_wait and now - self._began < START_PATIENCE)
        before, self._logged = self._logged, (problem, is_warning)
        if self._logged == before:
            return False
        if is_warning:
            self._logger.warning(f"the arms are not commanded: {problem}")
        elif problem:
            self._logger.info(f"waits for the drivers of the arms, and does not command them yet: {problem}")
        return not problem
