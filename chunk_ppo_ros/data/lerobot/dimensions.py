"""Decides which recorded dimension is which of the robot's, by the names of a dataset and by --arm_order."""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.config import RecordingsConfig
from chunk_ppo_ros.config.entries.recordings import DEGREES, LEFT_FIRST, RIGHT_FIRST
from chunk_ppo_ros.core.errors import EpisodesError, UnansweredQuestion
from chunk_ppo_ros.data.lerobot.features import Feature
from chunk_ppo_ros.data.lerobot.info import DatasetInfo
from chunk_ppo_ros.data.lerobot.joint_names import Arms, find_arms, first_side, in_degrees, tell_nothing
from chunk_ppo_ros.robot import aloha

JOINT_NAMES, ARM_NAMES = "joint_names", "arm_names"
"""The keys of --insist: names that are not ALOHA's are taken as they stand, and names of arms do not count."""
_WHOLE_ARMS = (aloha.SIDE_DIM, aloha.ACTION_DIM)
_RECORDER_CAMERAS = {"camera_high", "camera_low", "camera_wrist_left", "camera_wrist_right"}
"""The cameras of Interbotix's ALOHA recorder, whose files begin with the right arm."""


@dataclasses.dataclass(frozen=True)
class Dimensions:
    """Says which recorded dimensions are taken, in which order, and why.

    Attributes:
        state: int [S], the places of the state's dimensions; None takes all as they are.
        action: int [D], the same for actions.
        said: sentences about what the names say.
        assumed: sentences about what is assumed.
        unused: the dimensions that are not taken.
    """

    state: np.ndarray | None
    action: np.ndarray | None
    said: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Vector:
    """A feature of states or actions with its size, and its arms where its names are ALOHA's."""

    feature: Feature
    size: int
    named: bool
    arms: Arms | None

    @property
    def has_two_arms(self) -> bool:
        """Whether it has both arms, by its names or by its size."""
        return len(self.arms.columns) == aloha.ACTION_DIM if self.arms else self.size == aloha.ACTION_DIM


def decide_dimensions(info: DatasetInfo, sizes: tuple[int, int], recordings: RecordingsConfig) -> Dimensions:
    """Returns which dimensions of states and actions are taken.

    Args:
        info: what meta/info.json says.
        sizes: the numbers of recorded dimensions of a state and of an action.
        recordings: the settings.

    Raises:
        EpisodesError: where names are incomplete, duplicated, or contradict each other or a flag.
        UnansweredQuestion: where only a person knows which dimension is which.
    """
    vectors = [
        _vector(info, info.features[name], size, recordings)
        for name, size in zip((info.state, info.action), sizes, strict=True)
    ]
    _check_units(info, vectors, recordings)
    _check_pair(info, vectors)
    _check_flag(info, vectors, recordings)
    said, assumed = _nameless_orders(info, vectors, recordings)
    for vector in vectors:
        if vector.arms and vector.arms.order:
            first = {LEFT_FIRST: "the left arm first", RIGHT_FIRST: "the right arm first"}.get(vector.arms.order)
            said.append(f"the names of {vector.feature.name} put {first or 'the arms in another order'}")
    if any(vector.arms and vector.arms.order == RIGHT_FIRST for vector in vectors):
        assumed.append(
            "the names are true, so the right arm that they put first is taken second; openpi's converter writes such "
            f"names also over data that begin with the left arm (--arm_order {LEFT_FIRST} --insist {ARM_NAMES})"
        )
    return Dimensions(
        state=_columns(vectors[0], vectors, recordings),
        action=_columns(vectors[1], vectors, recordings),
        said=tuple(said),
        assumed=tuple(assumed),
        unused=tuple(
            f"{vector.feature.name}, dimension {name}"
            for vector in vectors
            if vector.arms
            for name in vector.arms.others
        ),
    )


def _vector(info: DatasetInfo, feature: Feature, size: int, recordings: RecordingsConfig) -> _Vector:
    names = feature.names
    if not names or tell_nothing(names, size):
        return _Vector(feature, size, named=False, arms=None)
    if JOINT_NAMES in recordings.insist:
        return _Vector(feature, size, named=True, arms=None)
    if len(names) != size:
        raise EpisodesError(_names_error(info, feature, f"one for each of the {size} dimensions", f"{len(names)}"))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise EpisodesError(_names_error(info, feature, "different from each other", f"{', '.join(twice)} twice"))
    try:
        arms = find_arms(names)
    except ValueError as error:
        raise EpisodesError(_names_error(info, feature, "those of whole arms", str(error))) from error
    if arms is None and size in _WHOLE_ARMS:
        raise UnansweredQuestion(
            _names_error(info, feature, f"ALOHA's ({', '.join(aloha.ARM_JOINTS)}, gripper)", ", ".join(names))
        )
    return _Vector(feature, size, named=True, arms=arms)


def _names_error(info: DatasetInfo, feature: Feature, rule: str, got: str) -> str:
    return (
        f"names of {feature.name} must be {rule}, got {got} in {info.path}; correct them there, or take the dimensions "
        f"as they stand in the file by --insist {JOINT_NAMES}"
    )


def _check_units(info: DatasetInfo, vectors: list[_Vector], recordings: RecordingsConfig) -> None:
    for vector in vectors:
        if in_degrees(vector.feature.names) and recordings.joint_unit != DEGREES:
            raise UnansweredQuestion(
                f"joints must be in rad, got names in degrees ({vector.feature.names[0]}) for {vector.feature.name} in "
                f"{info.path}; give --joint_unit {DEGREES}, or correct the names there"
            )


def _check_pair(info: DatasetInfo, vectors: list[_Vector]) -> None:
    """Refuses states and actions whose names are those of different arms."""
    state, action = vectors
    if not (state.named and action.named) or (state.arms is None and action.arms is None):
        return
    if state.arms and action.arms and len(state.arms.columns) == len(action.arms.columns):
        return
    raise EpisodesError(
        f"{state.feature.name} and {action.feature.name} must have names of the same arms, got "
        f"{', '.join(state.feature.names)} and {', '.join(action.feature.names)} in {info.path}; correct the names, or "
        f"take the dimensions as they stand in the file by --insist {JOINT_NAMES}"
    )


def _check_flag(info: DatasetInfo, vectors: list[_Vector], recordings: RecordingsConfig) -> None:
    if not recordings.arm_order or ARM_NAMES in recordings.insist:
        return
    for vector in vectors:
        if vector.arms and vector.arms.order and vector.arms.order != recordings.arm_order:
            raise EpisodesError(
                f"--arm_order must be what the names of {vector.feature.name} say, got {recordings.arm_order}, and the "
                f"names are {', '.join(vector.feature.names)} in {info.path}; leave --arm_order out, or add --insist "
                f"{ARM_NAMES} if the names are wrong"
            )


def _nameless_orders(
    info: DatasetInfo, vectors: list[_Vector], recordings: RecordingsConfig
) -> tuple[list[str], list[str]]:
    """Returns what is said and assumed about vectors without names, and asks where that is not enough."""
    said, assumed = [], []
    for vector, other in (vectors, vectors[::-1]):
        if vector.arms:
            continue
        name, size = vector.feature.name, vector.size
        if size > aloha.ACTION_DIM and not vector.named and JOINT_NAMES not in recordings.insist:
            raise UnansweredQuestion(
                f"{name} of {size} dimensions must have names, got none that tell more than numbers in {info.path}; "
                f"write them there (left_waist .. right_gripper and the rest), or take all {size} as they stand in the "
                f"file by --insist {JOINT_NAMES}"
            )
        if vector.has_two_arms:
            _ask_for_order(info, vector, other, recordings)
            order = recordings.arm_order
            if order:
                said.append(f"--arm_order says that {name} begins with the {order.removesuffix('_first')} arm")
            else:
                assumed.append(
                    f"{name} has no names that tell the arms, so it is taken as ALOHA's with the left arm first "
                    "(--arm_order)"
                )
        elif vector.named:
            assumed.append(f"the names of {name} are not ALOHA's, so its {size} dimensions are taken as they stand")
        else:
            assumed.append(f"{name} has no names that tell its {size} dimensions, so they are taken as they stand")
    return said, assumed


def _ask_for_order(info: DatasetInfo, vector: _Vector, other: _Vector, recordings: RecordingsConfig) -> None:
    if recordings.arm_order:
        return
    name = vector.feature.name
    if vector.named and first_side(vector.feature.names) == aloha.SIDES[1]:
        raise UnansweredQuestion(
            f"{name} must say which arm comes first, got names that begin with the right arm "
            f"({vector.feature.names[0]}) in {info.path}; give --arm_order {RIGHT_FIRST}, or {LEFT_FIRST} where the "
            "names are wrong"
        )
    if other.arms and other.arms.order not in ("", LEFT_FIRST):
        raise UnansweredQuestion(
            f"{name} must say which arm comes first, got no names for it, and names of {other.feature.name} that do "
            f"not begin with the left arm, in {info.path}; give --arm_order {RIGHT_FIRST}, or write the names there"
        )
    recorder = sorted(_RECORDER_CAMERAS & {feature.camera for feature in info.features.values() if feature.is_camera})
    if recorder and not other.arms:
        raise UnansweredQuestion(
            f"{name} must say which arm comes first, got no names for it in {info.path}, and the cameras "
            f"{', '.join(recorder)} of Interbotix's recorder, which begins with the arm that its configuration names "
            f"first; give --arm_order {RIGHT_FIRST} or {LEFT_FIRST}"
        )


def _columns(vector: _Vector, vectors: list[_Vector], recordings: RecordingsConfig) -> np.ndarray | None:
    """Returns the places of a vector's dimensions, or None for all as they stand."""
    size = aloha.SIDE_DIM
    right_first = [*range(size, 2 * size), *range(size)]
    if vector.arms and ARM_NAMES in recordings.insist and recordings.arm_order and vector.has_two_arms:
        recorded = sorted(vector.arms.columns)
        order = right_first if recordings.arm_order == RIGHT_FIRST else range(2 * size)
        return np.array([recorded[index] for index in order])
    if vector.arms:
        return np.array(vector.arms.columns)
    if vector.has_two_arms and recordings.arm_order == RIGHT_FIRST:
        return np.array(right_first)
    return None
