"""Stands in for the driver of one leader, the hand that moves it, and Interbotix's gravity compensation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from interbotix_xs_msgs.msg import JointGroupCommand
from rclpy.node import Node
from std_srvs.srv import SetBool

from chunk_ppo_ros.nodes.sim.driver_motors import MOTORS
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.grippers import GRIPPER_CONVENTIONS
from support.fake_driver import FakeDriver
from support.spinner import spinning

CONVENTION = GRIPPER_CONVENTIONS["openpi"]


class FakeLeader(FakeDriver):
    """The driver of one leader, which starts without torque, as aloha_bringup starts it.

    Args:
        side: "left" or "right".
        pose: float [6], where the arm is, rad.
        options: those of `FakeDriver`.
    """

    def __init__(self, side: str, pose: np.ndarray, **options: Any) -> None:
        super().__init__(side, arm="leader", **options)
        self.jumps: list[float] = []  # how far each command was from the goal, or from the pose of a limp arm, rad
        motors = self.motors
        motors.modes[aloha.GRIPPER] = "current_based_position"
        motors.torque = dict.fromkeys(MOTORS, False)
        self.put(pose, opening=0.8)

    def on_group(self, message: JointGroupCommand) -> None:
        """Takes a command, and notes how far it would move the arm."""
        before = self.motors.goals if self.is_stiff else self.motors.positions
        pairs = zip(aloha.ARM_JOINTS, message.cmd, strict=True)
        self.jumps.append(max(abs(angle - before[name]) for name, angle in pairs))
        super().on_group(message)

    def put(self, pose: np.ndarray, *, opening: float | None = None) -> None:
        """Moves the arm by hand, float [6] rad, and its gripper. Motors with torque do not let themselves be moved."""
        wanted = dict(zip(aloha.ARM_JOINTS, map(float, pose), strict=True))
        if opening is not None:
            wanted[aloha.GRIPPER] = float(CONVENTION.leader_from_opening(opening))
        stiff = [name for name in wanted if self.motors.torque[name]]
        assert not stiff, f"{stiff} have torque"
        self.motors.positions.update(wanted)

    def squeeze(self, opening: float) -> None:
        """Moves the gripper alone by hand."""
        assert not self.motors.torque[aloha.GRIPPER], "the gripper has torque"
        self.motors.positions[aloha.GRIPPER] = float(CONVENTION.leader_from_opening(opening))

    @property
    def pose(self) -> np.ndarray:
        """Where the arm is, float [6]."""
        return np.array([self.motors.positions[name] for name in aloha.ARM_JOINTS])

    @property
    def is_stiff(self) -> bool:
        """Whether all motors of the arm have torque."""
        return all(self.motors.torque[name] for name in aloha.ARM_JOINTS)

    @property
    def is_limp(self) -> bool:
        """Whether no motor has torque."""
        return not any(self.motors.torque.values())

    def arm_commands(self) -> np.ndarray:
        """Returns the commands of the arm that arrived, float [n, 6]."""
        commands = [angles for kind, angles in self.motors.commands if kind == "arm"]
        return np.array(commands).reshape(-1, len(aloha.ARM_JOINTS))


class FakeGravityCompensation(Node):
    """Interbotix's node that holds one leader against gravity, and is on at the start.

    Args:
        leader: the leader.
    """

    def __init__(self, leader: FakeLeader) -> None:
        super().__init__("gravity_compensation", namespace=leader.get_namespace(), use_global_arguments=False)
        self._leader = leader
        self.is_on = True
        self.refuses = False
        self._commands = self.create_publisher(JointGroupCommand, "commands/joint_group", 10)
        self.create_timer(0.01, self._hold)
        self.create_service(SetBool, "gravity_compensation_enable", self._on_call)
        self._set_modes("current")

    def _set_modes(self, mode: str) -> None:
        for name in aloha.ARM_JOINTS:
            self._leader.motors.set_mode(name, mode)

    def _on_call(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.success = not self.refuses
        if self.refuses:
            response.message = "the motors did not answer"
        else:
            self.is_on = request.data
            self._set_modes("current" if request.data else "position")
        return response

    def _hold(self) -> None:
        if self.is_on:
            self._commands.publish(JointGroupCommand(name="arm", cmd=self._leader.pose.tolist()))


@contextmanager
def running_leader(side: str, pose: np.ndarray, **options: Any) -> Iterator[FakeLeader]:
    """Runs the driver of a leader in a thread of its own until the block ends."""
    leader = FakeLeader(side, pose, **options)
    with spinning(leader):
        yield leader
