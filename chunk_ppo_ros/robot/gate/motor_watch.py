"""Notices motors that need too much current for too long, have no torque, or are too hot.

Currents come with the joint states, and temperatures now and then. `now` is the time of a steady clock in s.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.features import MotorTemperature

PATIENCE = 0.5
"""The time for which a current must last, s."""
STALL_CURRENTS = np.array([4400.0] * 5 + [2300.0])
"""The current with which each arm motor stalls at 12 V, mA: XM540-W270, and XM430-W350 for wrist_rotate (Robotis)."""
LIMP_DISTANCE = 0.1
"""The distance from its command at which a motor with torque has a current, rad, or normalized for a gripper."""


class MotorWatch:
    """Keeps the currents of the fourteen motors that the joint states tell of.

    A shoulder and an elbow have two motors each, of which the driver tells the first.

    Args:
        config: `max_current` and `max_gripper_current`; 0 for any.
    """

    def __init__(self, config: RobotConfig) -> None:
        arm = (config.max_current or np.inf) * STALL_CURRENTS / STALL_CURRENTS[0]
        self._limits = np.tile([*arm, config.max_gripper_current or np.inf], len(aloha.SIDES))
        self._settings = ["robot.max_current"] * len(aloha.ARM_JOINTS) + ["robot.max_gripper_current"]
        self._currents = np.full(aloha.ACTION_DIM, np.nan)
        self._has_currents: dict[str, bool] = {}
        self._high_since = np.full(aloha.ACTION_DIM, np.inf)
        self._zero_since = np.full(aloha.ACTION_DIM, np.inf)

    @property
    def is_on(self) -> bool:
        """Whether a current is limited. Otherwise nothing is looked at."""
        return bool(np.any(np.isfinite(self._limits)))

    @property
    def untold(self) -> str:
        """The arms whose joint states tell no currents although these are limited, or an empty string."""
        return ", ".join(side for side, has in self._has_currents.items() if self.is_on and not has)

    def observe(self, side: str, currents: np.ndarray | None, *, now: float) -> None:
        """Takes the currents of an arm's motors, float [7], mA, or None where they are not told.

        A driver that failed to read the motors tells 0 for all of them, which says nothing.
        """
        self._has_currents[side] = currents is not None
        part = aloha.side_slice(side)
        known = np.full(aloha.SIDE_DIM, np.nan) if currents is None else np.abs(currents)
        are_read = bool(np.any(known > 0.0))
        self._currents[part] = known
        self._high_since[part] = _since(self._high_since[part], are_read & (known > self._limits[part]), now)
        self._zero_since[part] = _since(self._zero_since[part], are_read & (known == 0.0), now)

    def problem(self, commanded: np.ndarray, measured: np.ndarray, *, now: float) -> str:
        """Returns which motor has needed too much current, or has had no torque, for too long, or an empty string.

        Args:
            commanded: float [14], the last command.
            measured: float [14], the newest measured position.
            now: the steady time, s.
        """
        return self._overload(now) or self._limp(commanded, measured, now) if self.is_on else ""

    def overloaded_grippers(self, now: float) -> np.ndarray:
        """Returns the indices, among the 14 numbers, of the grippers whose current has been too high for too long."""
        lasting = now - self._high_since >= PATIENCE
        return aloha.GRIPPER_INDICES[lasting[aloha.GRIPPER_INDICES]]

    def _overload(self, now: float) -> str:
        lasting = np.flatnonzero(now - self._high_since >= PATIENCE)
        if not len(lasting):
            return ""
        worst = int(lasting[np.argmax(self._currents[lasting] / self._limits[lasting])])
        setting = self._settings[worst % aloha.SIDE_DIM]
        return (
            f"the {aloha.joint_name(worst)} is obstructed: its motor needs {self._currents[worst]:.0f} mA, more than "
            f"{self._limits[worst]:.0f} mA ({setting}) for {PATIENCE} s; look what blocks it"
        )

    def _limp(self, commanded: np.ndarray, measured: np.ndarray, now: float) -> str:
        away = np.abs(commanded - measured)
        limp = np.flatnonzero((now - self._zero_since >= PATIENCE) & (away > LIMP_DISTANCE))
        if not len(limp):
            return ""
        worst = int(limp[0])
        unit = " rad" if worst in aloha.ARM_INDICES else " of its opening"
        return (
            f"the {aloha.joint_name(worst)} has no torque: it is {away[worst]:.2f}{unit} from its command, and the "
            f"current of its motor has been exactly 0 for {PATIENCE} s, while others of this arm have one; its motor "
            "may have stopped with an error (Hardware_Error_Status), so look at the arm, and call prepare_robot"
        )


def hottest(temperatures: Sequence[MotorTemperature], limit: float) -> MotorTemperature | None:
    """Returns the hottest motor where it is above a limit, degrees Celsius, or None, also where the limit is 0."""
    above = [each for each in temperatures if limit and each.celsius > limit]
    return max(above, key=lambda each: each.celsius, default=None)


def _since(before: np.ndarray, holds: np.ndarray, now: float) -> np.ndarray:
    """Returns since when a condition holds, s; infinite where it does not."""
    return np.where(holds, np.minimum(before, now), np.inf)
