"""Understands the names of a state's or an action's dimensions, such as "left_waist" or "right_arm_joint_1.pos"."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from chunk_ppo_ros.config.entries.recordings import LEFT_FIRST, RIGHT_FIRST
from chunk_ppo_ros.robot import aloha

JOINTS = (*aloha.ARM_JOINTS, aloha.GRIPPER)
MIXED = "mixed"
"""The order of arms whose dimensions stand between each other."""
_SIDES = {"left": "left", "l": "left", "larm": "left", "right": "right", "r": "right", "rarm": "right"}
_WORDS_WITHOUT_MEANING = {
    *("pos", "position", "positions", "joint", "joints", "arm", "main", "follower", "puppet", "robot", "rad", "radian"),
    *("deg", "degree", "degrees", "radians", "open", "state", "action", "qpos", "leader", "master", "goal", "target"),
    *("motor", "motors", "observation"),
}
_DEGREES = {"deg", "degree", "degrees"}
_NUMBER = re.compile(r"(?:joint|j|q|motor)?(\d+)")
_COUNTED = re.compile(r"[a-z_. /-]*(\d+)")


@dataclasses.dataclass(frozen=True)
class Arms:
    """Says where the arms are among the dimensions of a state or an action.

    Attributes:
        columns: the places of the 7 or 14 dimensions of ALOHA's order (the left arm first).
        order: which arm comes first as recorded: `LEFT_FIRST`, `RIGHT_FIRST`, `MIXED`, or empty for one arm.
        others: the names of the other dimensions.
    """

    columns: tuple[int, ...]
    order: str
    others: tuple[str, ...]


def tell_nothing(names: Sequence[str], size: int) -> bool:
    """Returns whether names only count the dimensions ("motor_0" ..) or name the vector as a whole ("state").

    Args:
        names: the names.
        size: the number of dimensions.
    """
    if len(names) == 1:
        return size > 1
    counts = [_COUNTED.fullmatch(name.lower()) for name in names]
    if not all(counts) or any(_parse(name)[0] for name in names):
        return False
    stems = {re.sub(r"\d+", "", name) for name in names}
    values = [int(count.group(1)) for count in counts if count]
    return len(stems) == 1 and values == list(range(values[0], values[0] + len(values)))


def first_side(names: Sequence[str]) -> str:
    """Returns the side of the first name that has one, or an empty text. The names may be those of any robot."""
    return next((side for side in (_parse(name)[0] for name in names) if side), "")


def in_degrees(names: Sequence[str]) -> bool:
    """Returns whether a name says that its joint is in degrees, for example "left_waist_deg"."""
    return any(_DEGREES & set(_words(name)) for name in names)


def find_arms(names: Sequence[str]) -> Arms | None:
    """Returns where ALOHA's dimensions are, or None where the names are those of another robot.

    Raises:
        ValueError: where only some dimensions of an arm have a name of ALOHA, or two have the same.
    """
    found: dict[tuple[str, str], int] = {}
    others = []
    for index, name in enumerate(names):
        side, joint = _parse(name)
        if joint not in JOINTS and not joint.isdigit():
            others.append(index)
        elif (side, joint) in found:
            raise ValueError(f"{names[found[side, joint]]} and {name} for the same dimension")
        else:
            found[side, joint] = index
    sides = {side for side, joint in found if joint != aloha.GRIPPER}
    arms = {side: _arm({joint: index for (of, joint), index in found.items() if of == side}) for side in sides}
    if not any(arms.values()) and not any(joint in aloha.ARM_JOINTS for _, joint in found):
        return None
    incomplete = [side for side, columns in arms.items() if columns is None]
    if incomplete or ("" in arms and len(arms) > 1):
        raise ValueError(_incomplete(names, found, incomplete))
    columns = [index for side in ("", *aloha.SIDES) for index in arms.get(side) or ()]
    others = sorted({*range(len(names))} - set(columns))
    return Arms(tuple(columns), _order(arms), tuple(names[index] for index in others))


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()) if word]


def _parse(name: str) -> tuple[str, str]:
    """Returns the side and the joint of a name, for example "left" and "wrist_angle"; joints may be a number."""
    words = _words(name)
    side = next((_SIDES[word] for word in words if word in _SIDES), "")
    if side:
        words.remove(next(word for word in words if word in _SIDES))
    rest = "_".join(word for word in words if word not in _WORDS_WITHOUT_MEANING)
    number = _NUMBER.fullmatch(rest)
    return side, str(int(number.group(1))) if number else rest


def _arm(places: dict[str, int]) -> tuple[int, ...] | None:
    """Returns the places of an arm's seven dimensions in ALOHA's order, or None where some are not there."""
    counted = sorted((int(joint), index) for joint, index in places.items() if joint.isdigit())
    if all(joint in places for joint in JOINTS) and not counted:
        return tuple(places[joint] for joint in JOINTS)
    whole = [number for number, _ in counted] in ([*range(6)], [*range(1, 7)])
    if whole and set(places) == {*(str(number) for number, _ in counted), aloha.GRIPPER}:
        return (*(index for _, index in counted), places[aloha.GRIPPER])
    return None


def _order(arms: dict[str, tuple[int, ...] | None]) -> str:
    left, right = (arms.get(side) for side in aloha.SIDES)
    if not left or not right:
        return ""
    if max(left) < min(right):
        return LEFT_FIRST
    return RIGHT_FIRST if max(right) < min(left) else MIXED


def _incomplete(names: Sequence[str], found: dict[tuple[str, str], int], sides: Sequence[str]) -> str:
    for side in sides:
        missing = [joint for joint in JOINTS if (side, joint) not in found]
        if len(missing) < len(JOINTS):
            arm = f"the {side} arm" if side else "the arm"
            return f"no {', '.join(missing) or 'other'} of {arm} among {', '.join(names)}"
    return f"incomplete arms among {', '.join(names)}"
