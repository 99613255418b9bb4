"""What may stand in a simulated scene, and what a simulator tells about it; every task is built from these parts.

Nothing here belongs to one task: a task declares objects, says where they stand at a reset, and reads their poses and
contacts after every control step. World frame: x from the left base to the right base, y away from the operator, z up
from the table top; m.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

import numpy as np

from chunk_ppo_ros.robot import aloha

TABLE = "table"
FINGERS = {side: (f"{side}_gripper/left_finger", f"{side}_gripper/right_finger") for side in aloha.SIDES}
"""What the two fingers of each gripper are called in contacts."""
ARMS = {side: f"{side}_arm" for side in aloha.SIDES}
"""What all other parts of each arm are called in contacts."""

NO_TURN = (1.0, 0.0, 0.0, 0.0)


@dataclasses.dataclass(frozen=True)
class Sphere:
    """A ball of `radius`, m."""

    radius: float


@dataclasses.dataclass(frozen=True)
class Box:
    """A cuboid; `half_sizes` are half of its edges along x, y and z, m."""

    half_sizes: tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Cylinder:
    """A cylinder along z with `radius` and half of its height, m."""

    radius: float
    half_height: float


@dataclasses.dataclass(frozen=True)
class Capsule:
    """A segment along z with round ends; `half_length` is half of the segment without its ends, m."""

    radius: float
    half_length: float


Shape = Sphere | Box | Cylinder | Capsule


@dataclasses.dataclass(frozen=True)
class Part:
    """A shape of one color, 0..255 each for red, green and blue, at `position` in the frame of its object, m."""

    shape: Shape
    color: tuple[int, int, int]
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)


class Motion(enum.Enum):
    """What an object does."""

    MARKER = "only cameras notice it; it stands where the layout puts it"
    FIXED = "it has contacts and stands where the layout puts it"
    FREE = "it has contacts, a mass, and falls"


@dataclasses.dataclass(frozen=True)
class SceneObject:
    """An object that a task wants in the scene.

    Attributes:
        name: by which layouts, poses and contacts call it.
        parts: its shapes, at least one.
        motion: what it does.
        mass: kg, of a free object; 0 for all others.
        inertia: moments about its axes at its origin, kg m^2; None computes them from the shapes, each with an equal
            share of the mass.
    """

    name: str
    parts: tuple[Part, ...]
    motion: Motion = Motion.MARKER
    mass: float = 0.0
    inertia: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        """Refuses what no simulator could build."""
        taken = {TABLE, *ARMS.values()}
        if not self.name.isidentifier() or self.name in taken:
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
    """Where an object is: `position` [3], m, and `rotation`, its orientation as a unit quaternion (w, x, y, z)."""

    position: np.ndarray
    rotation: np.ndarray = dataclasses.field(default_factory=lambda: np.array(NO_TURN))


@dataclasses.dataclass(frozen=True)
class EpisodeLayout:
    """Where each object stands after a reset, by its name."""

    poses: Mapping[str, Pose]


@dataclasses.dataclass(frozen=True)
class SceneState:
    """The scene at one instant, as a simulator tells it.

    Attributes:
        grasp_points: [2, 3], where the left and the right gripper pinch, m.
        poses: of the task's objects, by name.
        contacts: for each object that has contacts, what it touches: names of other objects, `TABLE`, `FINGERS` and
            `ARMS`.
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
        """Returns what an object touches; nothing where it has no contacts."""
        return self.contacts.get(name, frozenset())

    def touched_by(self, name: str) -> frozenset[str]:
        """Returns the sides, "left" and "right", of which a finger touches an object."""
        return frozenset(side for side, fingers in FINGERS.items() if self.touched(name) & set(fingers))

    def gripped_by(self, name: str) -> frozenset[str]:
        """Returns the sides, "left" and "right", of which both fingers touch an object."""
        return frozenset(side for side, fingers in FINGERS.items() if self.touched(name) >= set(fingers))
