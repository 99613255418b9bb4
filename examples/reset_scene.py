"""A command for `episode.reset: command`, which lifts the arms over the scene and lets them come down again.

It is a pattern for your own: it moves the robot through robot_node alone, which limits the motion and refuses it in an
emergency stop, and it ends with another status than 0 where the scene is not ready. docs/episodes.md says what the
variables are.

    episode:
      reset: command
      reset_command: python3 /path/to/reset_scene.py
"""

from __future__ import annotations

import os
import sys

import rclpy
from chunk_ppo_msgs.srv import MoveArms
from rclpy.client import Client

START = [0.0, -0.96, 1.16, 0.0, -0.3, 0.0, 0.1]
"""The start pose of one arm: waist .. wrist_rotate in rad, and the gripper (0 closed, 1 open)."""
LIFTED = [0.0, -1.2, 1.0, 0.0, 0.2, 0.0, 0.1]
SPEED = 0.3  # rad/s


def main() -> None:
    """Moves both arms, and ends the process with a text where they do not get there."""
    print(f"reset of episode {os.environ['CHUNK_PPO_EPISODE']}: {os.environ['CHUNK_PPO_PROMPT']}")
    rclpy.init()
    node = rclpy.create_node("reset_scene")
    client: Client = node.create_client(MoveArms, "robot_node/move_arms")
    if not client.wait_for_service(5.0):
        sys.exit("robot_node is not there; start it, or source its ROS domain")
    poses = 2 * LIFTED + 2 * START  # Each pose is that of the left and the right arm.
    future = client.call_async(MoveArms.Request(name="reset", poses=poses, speed=SPEED))
    rclpy.spin_until_future_complete(node, future)
    answer = future.result()
    if answer is None or not answer.success:
        sys.exit(f"the arms did not get there: {answer and answer.message}")


if __name__ == "__main__":
    main()
