"""Defines ALOHA's layout, limits, poses, units and names.

The hardware, and the data that pi policies are trained on, fix these facts. They are the order of the 14 numbers of a
state or an action, the joint limits of the followers and the names of cameras. `grippers.py` has the measures of the
grippers, `safety.py` has the limits of speed and the checks of whole chunks, and `images.py` handles the images.

The 14 numbers are [left arm 6, left gripper, right arm 6, right gripper]. Arm joints are in rad, and grippers are
normalized (0 closed, 1 open).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.config.entries.cameras import ROBOT_CAMERAS as ROBOT_CAMERAS
from chunk_ppo_ros.robot.grippers import GripperConvention

SIDES = ("left", "right")
ARM_JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
GRIPPER = "gripper"
LEFT_FINGER = "left_finger"
RIGHT_FINGER = "right_finger"
SIDE_DIM = len(ARM_JOINTS) + 1
"""The number of dimensions of one arm: six joints and the gripper."""
ACTION_DIM = SIDE_DIM * len(SIDES)
"""The number of dimensions of a state or an action of both arms, 14."""

GRIPPER_INDICES = np.arange(len(ARM_JOINTS), ACTION_DIM, SIDE_DIM)
"""The indices of the grippers among the 14 dimensions."""
ARM_INDICES = np.setdiff1d(np.arange(ACTION_DIM), GRIPPER_INDICES)
"""The indices of the arm joints among the 14 dimensions."""

# The joint ranges are those of the URDF of Interbotix's aloha_vx300s, rad. Grippers are normalized.
LOWER_LIMITS = np.tile([-3.14158, -1.85005, -1.76278, -3.14158, -1.8675, -3.14158, 0.0], 2)
UPPER_LIMITS = np.tile([3.14158, 1.25664, 1.60570, 3.14158, 2.23402, 3.14158, 1.0], 2)
START_POSE = np.tile([0.0, -0.96, 1.16, 0.0, -0.3, 0.0, 0.1], 2)
"""The pose in which episodes start, rad and normalized grippers.

It is ALOHA's start pose with grippers nearly closed, as in gym-aloha (finger at 0.0224 m).
"""

SLEEP_POSE = np.tile([0.0, -2.05, 1.7, 0.0, -2.0, 0.0, 0.0], 2).clip(LOWER_LIMITS, UPPER_LIMITS)
"""The pose in which the arms are put down, rad and normalized grippers.

It is the sleep pose in Interbotix's motor configuration of aloha_vx300s, as near as the ranges allow. The same file
gives the motors these ranges, and a motor takes no goal beyond its own range.
"""

CONTROL_RATE = RobotConfig().control_rate
"""The control rate of ALOHA's own control loop and recorders, Hz."""

CAMERAS = tuple(ROBOT_CAMERAS.values())
"""The names of the cameras on the robot. The model has no input for ALOHA's cam_low."""
COMPRESSED = "/compressed"
"""The end of the topics of compressed images, as image_transport names them."""
MODEL_CAMERAS = {camera: key for key, camera in ROBOT_CAMERAS.items()}
"""The camera key of the model for each camera name on the robot."""

for _constant in (LOWER_LIMITS, UPPER_LIMITS, START_POSE, SLEEP_POSE):
    _constant.setflags(write=False)


def side_slice(side: str) -> slice:
    """Returns the slice of an arm's seven numbers among the 14.

    Raises:
        ValueError: if the side is not one of `SIDES`.
    """
    if side not in SIDES:
        raise ValueError(f"side must be one of {', '.join(SIDES)}, got {side!r}")
    start = SIDES.index(side) * SIDE_DIM
    return slice(start, start + SIDE_DIM)


def worst_joint(distances: np.ndarray) -> tuple[int, str]:
    """Returns the arm joint with the largest of 14 distances: its index among the 14, and its name ("left elbow")."""
    index = int(ARM_INDICES[np.argmax(distances[ARM_INDICES])])
    return index, joint_name(index)


def joint_name(index: int) -> str:
    """Returns the name of one of the 14 dimensions, such as "left elbow" or "right gripper"."""
    return f"{SIDES[index // SIDE_DIM]} {(*ARM_JOINTS, GRIPPER)[index % SIDE_DIM]}"


def select_joints(names: Sequence[str], values: Sequence[float], wanted: Sequence[str]) -> np.ndarray:
    """Returns the values of the wanted joints, which are found by their names.

    Args:
        names: the joint names of a message, in any order.
        values: one value per name, rad or m.
        wanted: the names to pick. Others in `names` are ignored.

    Returns:
        The picked values, float64 [len(wanted)], in the order of `wanted`.

    Raises:
        ValueError: if lengths differ, a name comes twice, a wanted joint is missing or its value is not finite.
    """
    if len(names) != len(values):
        raise ValueError(
            f"joint names and values must be equally many, got {len(names)} names and {len(values)} values; "
            "check the driver of the arm"
        )
    by_name = dict(zip(names, values, strict=True))
    if len(by_name) != len(names):
        raise ValueError(f"joint names must be unique, got {', '.join(names)}; check the driver of the arm")
    missing = [name for name in wanted if name not in by_name]
    if missing:
        raise ValueError(
            f"joints must include {', '.join(wanted)}, got {', '.join(names)}, without {', '.join(missing)}; "
            "check the driver of the arm"
        )
    picked = np.array([by_name[name] for name in wanted], dtype=np.float64)
    for name, value in zip(wanted, picked, strict=True):
        if not np.isfinite(value):
            raise ValueError(f"joint {name} must be finite, got {value}; check its motor and its driver")
    return picked


def leader_state(names: Sequence[str], positions: Sequence[float], convention: GripperConvention) -> np.ndarray:
    """Returns a leader arm's joint states as the seven targets that it gives a follower, rad and normalized opening.

    The gripper is read from its motor, as in ALOHA's own recorder. Arguments and errors are those of `side_state`.
    """
    state = select_joints(names, positions, (*ARM_JOINTS, GRIPPER))
    state[-1] = convention.opening_from_leader(state[-1])
    return state


def side_state(names: Sequence[str], positions: Sequence[float], convention: GripperConvention) -> np.ndarray:
    """Returns an arm's joint states as its seven numbers.

    The gripper is read from its motor, which was measured. Drivers compute fingers from the motor, by linkages of their
    own. Where the joint states lack the motor, the gripper is read from the left finger.

    Args:
        names: the joint names of a JointState.
        positions: the positions of these joints, rad and m.
        convention: the meaning of open and closed.

    Returns:
        The seven numbers, float64 [7], rad and normalized opening. The opening is not clipped.

    Raises:
        ValueError: if `select_joints` cannot pick the joints.
    """
    has_motor = GRIPPER in names
    state = select_joints(names, positions, (*ARM_JOINTS, GRIPPER if has_motor else LEFT_FINGER))
    read = convention.state_opening_from_motor if has_motor else convention.state_opening_from_driver
    state[-1] = read(state[-1])
    return state


def follower_reading(names: Sequence[str], positions: Sequence[float], convention: GripperConvention) -> np.ndarray:
    """Returns `side_state`, with an infinite opening where the gripper's motor is at an angle at which it cannot be.

    The opening alone does not tell: at -pi, which a driver reports after a failed read, the linkage gives 0.2.
    """
    state = side_state(names, positions, convention)
    motor = dict(zip(names, positions, strict=True)).get(GRIPPER, 0.0)
    if abs(motor) > convention.motor_limit:
        state[-1] = np.copysign(np.inf, motor)
    return state


def finger_problem(names: Sequence[str], positions: Sequence[float], convention: GripperConvention) -> str:
    """Returns why the left finger of an arm's joint states cannot be where they say; empty where it can, or is unknown.

    Arguments are those of `side_state`.
    """
    finger = dict(zip(names, positions, strict=False)).get(LEFT_FINGER)
    return "" if finger is None else convention.problem_of(finger)


def side_effort(names: Sequence[str], efforts: Sequence[float]) -> float | None:
    """Returns the mean |effort| of an arm's six joints, in the driver's unit.

    Returns None where the joint states lack the effort of one of the six.

    Args:
        names: the joint names of a JointState.
        efforts: the efforts of these joints, or an empty sequence.
    """
    known = dict(zip(names, efforts, strict=False))
    arm = np.abs([known.get(joint, np.nan) for joint in ARM_JOINTS])
    return float(np.mean(arm)) if np.all(np.isfinite(arm)) else None


def side_currents(names: Sequence[str], efforts: Sequence[float]) -> np.ndarray | None:
    """Returns the efforts of an arm's seven motors, float64 [7], in the driver's unit; NaN where one is not told.

    Returns None where the joint states tell no efforts. Arguments are those of `side_effort`.
    """
    known = dict(zip(names, efforts, strict=False))
    motors = np.array([known.get(joint, np.nan) for joint in (*ARM_JOINTS, GRIPPER)], np.float64)
    return None if np.all(np.isnan(motors)) else motors


def camera_topic(pattern: str, camera: str) -> str:
    """Returns the image topic of a camera, for example "cam_high/camera/color/image_rect_raw".

    Args:
        pattern: a topic name in which "{camera}" stands for the camera's name.
        camera: the name of the camera on the robot.
    """
    return pattern.replace("{camera}", camera)
