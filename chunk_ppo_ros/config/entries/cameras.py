"""The names of the cameras: the keys of the model and the names on the robot, and the check of settings that name them.

The simulators have the same cameras as the robot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

ROBOT_CAMERAS: Mapping[str, str] = MappingProxyType(
    {"base_0_rgb": "cam_high", "left_wrist_0_rgb": "cam_left_wrist", "right_wrist_0_rgb": "cam_right_wrist"}
)
"""The camera's name on the robot for each camera key of the model, in order. No key stands for ALOHA's cam_low."""


def check_cameras(cameras: Sequence[str], optional_cameras: Sequence[str]) -> None:
    """Refuses camera names that neither the robot nor a simulator has.

    Args:
        cameras: the setting `model.cameras`, keys of the model.
        optional_cameras: the setting `robot.optional_cameras`, names on the robot.

    Raises:
        ValueError: where a name is unknown or comes twice, no camera is named, or an optional camera is not among those
            of the model.
    """
    unknown = [key for key in cameras if key not in ROBOT_CAMERAS]
    if unknown or not cameras or len(set(cameras)) < len(cameras):
        raise ValueError(
            f"model.cameras must name cameras of {', '.join(ROBOT_CAMERAS)}, each at most once, got "
            f"{', '.join(unknown or cameras) or 'none'}{_hint(unknown)}; correct it, or leave it out to use all"
        )
    present = [ROBOT_CAMERAS[key] for key in cameras]
    absent = [name for name in optional_cameras if name not in present]
    if absent:
        raise ValueError(
            f"robot.optional_cameras must be among the cameras of the model, {', '.join(present)}, got "
            f"{', '.join(absent)}; correct it, or add the camera to model.cameras"
        )


def _hint(unknown: Sequence[str]) -> str:
    """Returns the keys of the model that are meant where names of the robot were given."""
    keys = {name: key for key, name in ROBOT_CAMERAS.items()}
    meant = [f"{name} is {keys[name]}" for name in unknown if name in keys]
    return f" ({', '.join(meant)} here)" if meant else ""
