"""Defines the box in which an arm stays, and reads it from a setting."""

from __future__ import annotations

import dataclasses
import math

NO_TABLE = -1.0
"""The height of a table that is not there, m. It is below what an arm can reach."""


@dataclasses.dataclass(frozen=True)
class WorkspaceBox:
    """The box in which an arm stays, in the frame of its base. A side that is not given is infinitely far.

    Attributes:
        low: the smallest x, y and z, m.
        high: the largest x, y and z, m.
    """

    low: tuple[float, float, float] = (-math.inf,) * 3
    high: tuple[float, float, float] = (math.inf,) * 3

    def with_axis(self, axis: int, low: float, high: float) -> WorkspaceBox:
        """Returns a box with another range on one axis: 0 is x, 1 is y, 2 is z."""
        lows, highs = list(self.low), list(self.high)
        lows[axis], highs[axis] = low, high
        return WorkspaceBox(tuple(lows), tuple(highs))  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True)
class WorkspaceBoxes:
    """The boxes of both arms, each in the frame of the arm's own base."""

    left: WorkspaceBox = WorkspaceBox()
    right: WorkspaceBox = WorkspaceBox()


def parse_workspace_box(setting_name: str, entries: tuple[str, ...]) -> WorkspaceBoxes:
    """Returns the boxes of a setting whose entries are AXIS=LOW/HIGH for both arms, or ARM.AXIS=LOW/HIGH for one.

    Raises:
        ValueError: for another entry, an axis that an arm gets twice, or a range whose low end is not below the high.
    """
    boxes: dict[str, WorkspaceBox] = {"left": WorkspaceBox(), "right": WorkspaceBox()}
    given: set[str] = set()
    for entry in entries:
        name, _, text = str(entry).partition("=")
        arm, _, axis = name.rpartition(".")
        numbers = [_number(part) for part in text.split("/")]
        if axis not in ("x", "y", "z") or arm not in ("", *boxes) or len(numbers) != 2 or not numbers[0] < numbers[1]:
            raise ValueError(
                f"{setting_name} must be entries AXIS=LOW/HIGH in m, with LOW below HIGH, where AXIS is x, y or z, or "
                f"left.x for one arm alone, got {entry!r}; write for example x=-0.4/0.6"
            )
        for side in (arm,) if arm else tuple(boxes):
            if f"{side}.{axis}" in given:
                raise ValueError(
                    f"{setting_name} must give {side}.{axis} once, got it again in {entry!r}; leave one out"
                )
            given.add(f"{side}.{axis}")
            boxes[side] = boxes[side].with_axis("xyz".index(axis), numbers[0], numbers[1])
    return WorkspaceBoxes(**boxes)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
