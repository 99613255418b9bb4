"""Defines what may stand in a simulated scene, and the state that a simulator returns of it.

Every task is built from these parts. A task declares objects, says where they stand at a reset, and reads their poses
and contacts after every control step. In the world frame, x points from the left base to the right base, y away from
the operator, and z up from the table top. Lengths are in m.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

import numpy as np

from chunk_ppo_ros.robot import aloha

TABLE = "table"
"""The name of the table in contacts."""
FINGERS = {side: (f"{side}_gripper/left_finger", f"{side}_gripper/right_finger") for side in aloha.SIDES}
"""The names of the two fingers of each gripper in contacts."""
ARMS = {side: f"{side}_arm" for side in aloha.SIDES}
"""The name that all other parts of each arm have in contacts."""

NO_TURN = (1.0, 0.0, 0.0, 0.0)
"""The unit quaternion (w, x, y, z) of no rotation."""


@dataclasses.dataclass(frozen=True)
class Sphere:
    """Describes a ball of `radius`, m."""

    radius: float


@dataclasses.dataclass(frozen=True)
class Box:
    """Describes a cuboid. `half_sizes` are half of its edges along x, y and z, m."""

    half_sizes: tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Cylinder:
    """Describes a cylinder along z with `radius` and `half_height` (half of its height), m."""

    radius: float
    half_height: float


@dataclasses.dataclass(frozen=True)
class Capsule:
    """Describes a segment along z with round ends. `half_length` is half of the segment without its ends, m."""

    radius: float
    half_length: float


Shape = Sphere | Box | Cylinder | Capsule


@dataclasses.dataclass(frozen=True)
class Part:
    """Describes a shape in one color (red, green and blue, each 0..255) at `position` in its object's frame, m."""

    shape: Shape
    color: tuple[int, int, int]
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        """Refuses a part that no simulator could build or draw.

        Raises:
            ValueError: for something else than a shape, a size that is not above 0, a wrong color or a wrong position.
        """
        if not isinstance(self.shape, Shape):
            raise ValueError(f"a part must have a Sphere, Box, Cylinder or Capsule as its shape, got {self.shape!r}")
        sizes = _numbers(dataclasses.astuple(self.shape))
        if sizes is None or not np.all(sizes > 0.0):
            raise ValueError(f"the sizes of a shape must be numbers above 0, m, got {self.shape}")
        color = _numbers(self.color)
        if color is None or color.shape != (3,) or not np.all((color >= 0) & (color <= 255) & (color == color.round())):
            raise ValueError(f"a color must be three whole numbers of 0..255 (red, green, blue), got {self.color!r}")
        position = _numbers(self.position)
        if position is None or position.shape != (3,):
            raise ValueError(f"the position of a part must be three finite numbers, m, got {self.position!r}")


def _numbers(values: object) -> np.ndarray | None:
    """Returns values as one row of finite numbers, or None where they are none."""
    try:
        numbers = np.hstack(values).astype(float)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        return None
    return numbers if np.all(np.isfinite(numbers)) else None


class Motion(enum.Enum):
    """Lists how an object can move and touch."""

    MARKER = "only cameras notice it; it stands where the layout puts it"
    FIXED = "it has contacts and stands where the layout puts it"
    FREE = "it has contacts, a mass, and falls"


@dataclasses.dataclass(frozen=True)
class SceneObject:
    """Describes an object that a task wants in the scene.

    Attributes:
        name: the name of the object in layouts, poses and contacts.
        parts: the shapes of the object, at least one.
        motion: how the object can move and touch.
        mass: the mass of a free object, kg; 0 for all others.
        inertia: the moments of inertia about the axes of the object at its origin, kg m^2. None computes them from the
            shapes, each with an equal share of the mass.
    """

    name: str
    parts: tuple[Part, ...]
    motion: Motion = Motion.MARKER
    mass: float = 0.0
    inertia: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        """Refuses an object that no simulator could build.

        Raises:
            ValueError: for a wrong name, no parts, or a mass that does not fit the motion.
        """
        taken = {TABLE, *ARMS.values()}
        if not isinstance(self.name, str) or not self.name.isidentifier() or self.name in taken:
            raise ValueError(f"an object's name must be an identifier other than {sorted(taken)}, got {self.name!r}")
        if not self.parts:
            raise ValueError(f"the object {self.name} must have at least one part, got none")
        if (self.mass > 0.0) != (self.motion is Motion.FREE):
            raise ValueError(
                f"the object {self.name} must have a mass exactly where it is free, got {self.mass} kg and "
                f"{self.motion.name}"
            )


@dataclasses.dataclass(frozen=True)
class Pose:
    """Holds the `position` [3] of an object, m, and its `rotation`, a unit quaternion (w, x, y, z)."""

    position: np.ndarray
    rotation: np.ndarray = dataclasses.field(default_factory=lambda: np.array(NO_TURN))


@dataclasses.dataclass(frozen=True)
class EpisodeLayout:
    """Holds the pose of each object after a reset, by its name."""

    poses: Mapping[str, Pose]


@dataclasses.dataclass(frozen=True)
class SceneState:
    """Holds the true scene at one instant.

    Attributes:
        grasp_points: float [2, 3], the points at which the left and the right gripper pinch, m.
        poses: the poses of the task's objects, by name.
        contacts: the names of what each object touches, for each object that has contacts. They are names of other
            objects, `TABLE`, `FINGERS` and `ARMS`.
    """

    grasp_points: np.ndarray
    poses: Mapping[str, Pose] = dataclasses.field(default_factory=dict)
    contacts: Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)

    def position(self, name: str) -> np.ndarray:
        """Returns the origin [3] of an object, m.

        Raises:
            ValueError: where the scene does not have the object.
        """
        if name not in self.poses:
            raise ValueError(f"the scene must have the object {name}, got {', '.join(self.poses) or 'none'}")
        return self.poses[name].position

    def touched(self, name: str) -> frozenset[str]:
        """Returns the names of what an object touches. They are empty where it has no contacts."""
        return self.contacts.get(name, frozenset())

    def touched_by(self, name: str) -> frozenset[str]:
        """Returns the sides, of "left" and "right", on which a finger touches an object."""
        return frozenset(side for side, fingers in FINGERS.items() if self.touched(name) & set(fingers))

    def gripped_by(self, name: str) -> frozenset[str]:
        """Returns the sides, of "left" and "right", on which both fingers touch an object."""
        return frozenset(side for side, fingers in FINGERS.items() if self.touched(name) >= set(fingers))
