"""The settings that say how recorded episodes are meant, where the files do not say it."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.config.schema import Checked, setting

LEFT_FIRST, RIGHT_FIRST = "left_first", "right_first"
RGB, BGR = "rgb", "bgr"
RADIANS, DEGREES = "rad", "deg"
NORMALIZED = "normalized"
INTERBOTIX_2 = "interbotix_2"
GRIPPER_UNITS = (NORMALIZED, "percent", "motor_rad", "motor_deg", "finger_m", "finger_mm", INTERBOTIX_2)
"""What a recorded gripper can be: an opening of 0..1, one of 0..100 %, the angle of the motor, or the position of a
finger. `interbotix_2` is the state that the recorder of Interbotix's ALOHA 2.0 writes."""


@dataclasses.dataclass(frozen=True)
class RecordingsConfig(Checked):
    """Settings of reading recorded episodes, which docs/recordings.md explains.

    They say what files leave open. What a file says itself counts, and a flag against it is an error.
    """

    arm_order: str = setting(
        "",
        "which arm comes first in states and actions of recordings without names; empty takes the left arm, and asks "
        "where a recorder is known to begin with the right one",
        choices=("", LEFT_FIRST, RIGHT_FIRST),
    )
    channel_order: str = setting(
        RGB, "order of the color channels in compressed images of HDF5 files, once they are decoded", choices=(RGB, BGR)
    )
    recorded_rate: float = setting(
        0.0,
        "control steps per second of recordings that do not say it, Hz; 0 takes 50, the rate of ALOHA",
        minimum=0.0,
        maximum=1000.0,
    )
    joint_unit: str = setting(RADIANS, "unit of the joints in HDF5 and LeRobot recordings", choices=(RADIANS, DEGREES))
    state_gripper_unit: str = setting(
        NORMALIZED, "what grippers are in the states of HDF5 and LeRobot recordings", choices=GRIPPER_UNITS
    )
    action_gripper_unit: str = setting(
        NORMALIZED, "what grippers are in the actions of HDF5 and LeRobot recordings", choices=GRIPPER_UNITS
    )
    leave_out_episodes: tuple[str, ...] = setting(
        (), "recorded episodes that are not read, by the ends of the names that inspect shows"
    )
    insist: tuple[str, ...] = setting(
        (), "keys of findings about recordings that are accepted although they are refused, as inspect names them"
    )
    max_clipped_share: float = setting(
        0.1,
        "largest share of recorded actions that may be clipped to model.action_limit",
        minimum=0.0,
        maximum=1.0,
    )
