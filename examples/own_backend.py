"""A robot back end of your own: it sends the targets of both arms to another driver, as joint states at 50 Hz.

`chunk_ppo graph --params_file my_robot.yaml`, with these lines in my_robot.yaml, uses it:

    robot:
      backend: examples.own_backend:MyArms

robot_node applies all limits before `send`, and reads `follower_left/joint_states` and `follower_right/joint_states`.
So your driver must publish these with ALOHA's names of joints, or a node of yours must translate them.
"""

from __future__ import annotations

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.robot import aloha


class MyArms:
    """Publishes `my_left_arm/command` and `my_right_arm/command`."""

    def __init__(self, node: Node, config: RobotConfig) -> None:
        """Makes the publishers. They belong to robot_node, which is `node`."""
        self.publishers = [node.create_publisher(JointState, f"my_{side}_arm/command", 10) for side in aloha.SIDES]

    def send(self, target: np.ndarray, *, stamp: int) -> None:
        """Sends one control step. `target` has 14 numbers, rad, grippers 0 (closed) .. 1 (open); `stamp` is in ns."""
        for side, publisher in zip(aloha.SIDES, self.publishers, strict=True):
            command = JointState(
                name=[*aloha.ARM_JOINTS, aloha.GRIPPER], position=target[aloha.side_slice(side)].tolist()
            )
            command.header.stamp.sec, command.header.stamp.nanosec = divmod(stamp, 1_000_000_000)
            publisher.publish(command)

    def problem(self) -> str:
        """Returns why commands would not arrive, or an empty text. While there is a reason, nothing moves."""
        silent = [each.topic_name for each in self.publishers if not each.get_subscription_count()]
        return f"nobody listens to {', '.join(silent)}; start your driver" if silent else ""
