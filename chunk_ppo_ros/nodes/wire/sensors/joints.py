"""Converts joint states and joint trajectories to and from numpy arrays."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from builtin_interfaces.msg import Duration
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from chunk_ppo_ros.core.chunk_origin import ChunkOrigin
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.nodes.wire.arrays import header_of, time_from_ns, time_to_ns
from chunk_ppo_ros.robot import aloha, grippers
from chunk_ppo_ros.robot.arm_trajectory import ArmTrajectory

CHUNK_JOINTS = (*aloha.ARM_JOINTS, aloha.GRIPPER)
"""The joint names of one arm's half of a chunk. Positions are in rad, that of the gripper is normalized."""
STATE_JOINTS = (*aloha.ARM_JOINTS, aloha.GRIPPER, aloha.LEFT_FINGER, aloha.RIGHT_FINGER)
"""The joint names in a driver's joint states. Joints and the gripper's motor are in rad, fingers in m."""


_GRIPPER_EFFORTS = [math.nan] * (len(STATE_JOINTS) - len(aloha.ARM_JOINTS))


def duration_of(seconds: float) -> Duration:
    """Returns the message of a duration that is given in s >= 0."""
    sec, nanosec = divmod(round(seconds * NANOSECONDS), NANOSECONDS)
    return Duration(sec=sec, nanosec=nanosec)


def arm_trajectory_to_message(
    positions: np.ndarray, *, stamp: int, period: float, origin: ChunkOrigin
) -> JointTrajectory:
    """Returns the trajectory of one arm's half of a chunk. The first point is due one period after the stamp.

    Args:
        positions: float [k, 7], rad and normalized gripper.
        stamp: the stamp of the chunk, ROS time in ns.
        period: the time between two points, s.
        origin: the chunk that it belongs to, which becomes header.frame_id.
    """
    return JointTrajectory(
        header=header_of(stamp, frame_id=str(origin)),
        joint_names=list(CHUNK_JOINTS),
        points=[
            JointTrajectoryPoint(positions=row.astype(float).tolist(), time_from_start=duration_of(step * period))
            for step, row in enumerate(positions, start=1)
        ],
    )


def arm_trajectory_from_message(message: JointTrajectory) -> ArmTrajectory:
    """Returns one arm's half of a chunk. Joints may be in any order, and numbers may still be NaN.

    Raises:
        ValueError: if the joint names are not exactly `CHUNK_JOINTS`, or a point does not have one position for each.
    """
    if sorted(message.joint_names) != sorted(CHUNK_JOINTS):
        got = ", ".join(message.joint_names)
        raise ValueError(f"joint names must be {', '.join(CHUNK_JOINTS)} in any order, got {got}")
    for number, point in enumerate(message.points):
        if len(point.positions) != len(CHUNK_JOINTS):
            raise ValueError(f"point {number} must have {len(CHUNK_JOINTS)} positions, got {len(point.positions)}")
    order = [message.joint_names.index(name) for name in CHUNK_JOINTS]
    positions = np.array([point.positions for point in message.points], dtype=float).reshape(-1, len(order))
    durations = [point.time_from_start for point in message.points]
    times = np.array([duration.sec + duration.nanosec / NANOSECONDS for duration in durations])
    return ArmTrajectory(time_to_ns(message.header.stamp), times, positions[:, order])


def leader_message(pose: np.ndarray, *, stamp: int, convention: grippers.GripperConvention) -> JointState:
    """Returns a message like those of a leader arm's driver, for programs that replace a leader arm.

    Args:
        pose: float [7], rad and normalized gripper.
        stamp: the ROS time of the pose, ns.
        convention: the joint positions of an open and a closed gripper.
    """
    *arm, opening = pose.astype(float).tolist()
    motor = convention.leader_from_opening(opening)
    return JointState(header=header_of(stamp), name=list(CHUNK_JOINTS), position=[*arm, motor])


class StepMessage:
    """A controller's trajectory of one point. The same message is filled again at every step."""

    def __init__(self, joint_names: tuple[str, ...], *, period: float) -> None:
        self._message = JointTrajectory(
            joint_names=list(joint_names),
            points=[JointTrajectoryPoint(time_from_start=duration_of(period))],
        )

    def fill(self, positions: list[float], *, stamp: int) -> JointTrajectory:
        """Returns the message with these positions, in rad or m. It is valid until the next call."""
        self._message.header.stamp = time_from_ns(stamp)
        self._message.points[0].positions = positions
        return self._message


@dataclasses.dataclass(frozen=True)
class StateMessage:
    """An arm's joint states as its driver sends them. The same message is filled again at every step.

    The finger follows from the motor by the linkage, as in a driver.
    """

    convention: grippers.GripperConvention
    message: JointState = dataclasses.field(default_factory=lambda: JointState(name=list(STATE_JOINTS)))

    def fill(self, state: np.ndarray, *, stamp: int, efforts: np.ndarray | None = None) -> JointState:
        """Returns the message of a state. It is valid until the next call.

        Args:
            state: float [7], the joint positions of the arm, rad and normalized gripper.
            stamp: the ROS time of the state, ns.
            efforts: float [6], the efforts of the arm's joints in N m, or None if they are not known. Those of the
                gripper are NaN in the message.
        """
        *arm, opening = state.astype(float).tolist()
        finger = float(self.convention.driver_finger_from_opening(opening))
        motor = float(self.convention.motor_from_state_opening(opening))
        self.message.header.stamp = time_from_ns(stamp)
        self.message.position = [*arm, motor, finger, -finger]
        self.message.effort = [] if efforts is None else [*efforts.astype(float).tolist(), *_GRIPPER_EFFORTS]
        return self.message
