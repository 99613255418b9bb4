"""Names the known sets of gripper numbers, and reads a user's own numbers from a setting."""

from __future__ import annotations

import dataclasses
import math

GRIPPER_CONVENTION_NAMES = ("openpi", "interbotix", "aloha_vx300s")
"""The known sets of gripper numbers; `robot/grippers.py` holds them."""


@dataclasses.dataclass(frozen=True)
class GripperNumbers:
    """A user's own numbers of a gripper. None stands for the number of the known set.

    Attributes:
        motor_open: the motor angle of an open follower, rad.
        motor_closed: the motor angle of a closed follower, rad.
        finger_open: the finger position of an open follower, m.
        finger_closed: the finger position of a closed follower, m.
        leader_open: the motor angle of an open leader, rad.
        leader_closed: the motor angle of a closed leader, rad.
        linkage: the horn radius and the arm length with which these numbers agree, m.
        driver_linkage: the horn radius and the arm length by which the driver computes the fingers that it reports, m.
    """

    motor_open: float | None = None
    motor_closed: float | None = None
    finger_open: float | None = None
    finger_closed: float | None = None
    leader_open: float | None = None
    leader_closed: float | None = None
    linkage: tuple[float, float] | None = None
    driver_linkage: tuple[float, float] | None = None


_LINKAGE_NAMES = ("linkage", "driver_linkage")
_NUMBER_NAMES = tuple(field.name for field in dataclasses.fields(GripperNumbers))


def parse_gripper_numbers(setting_name: str, entries: tuple[str, ...]) -> GripperNumbers:
    """Returns the numbers of a setting whose entries are name=number, or linkage=RADIUS/LENGTH.

    Raises:
        ValueError: for an unknown name, a name that comes twice, a number that is not finite, or a linkage whose radius
            is not above 0 and below its length.
    """
    values: dict[str, float | tuple[float, float]] = {}
    for entry in entries:
        name, _, text = str(entry).partition("=")
        numbers = [_number(part) for part in text.split("/")]
        wanted = 2 if name in _LINKAGE_NAMES else 1
        if name not in _NUMBER_NAMES or len(numbers) != wanted or not all(map(math.isfinite, numbers)):
            raise ValueError(
                f"{setting_name} must be entries NAME=NUMBER of {', '.join(_NUMBER_NAMES)}, where a linkage "
                f"is RADIUS/LENGTH in m, got {entry!r}; write for example motor_open=1.4 or linkage=0.0275/0.035"
            )
        if name in values:
            raise ValueError(f"{setting_name} must give {name} once, got it again in {entry!r}; leave one out")
        if wanted == 2 and not 0 < numbers[0] < numbers[1]:
            raise ValueError(f"{setting_name} must give {name} a radius above 0 and below the length, got {entry!r}")
        values[name] = (numbers[0], numbers[1]) if wanted == 2 else numbers[0]
    return GripperNumbers(**values)  # type: ignore[arg-type]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
