"""The names of the topics that readers of recordings look for. `nodes/wire/topics.py` lists all topics of the graph."""

from __future__ import annotations

from chunk_ppo_ros.robot import aloha

ACTION_CHUNK = "action_chunk"
"""The topic of a policy's chunks."""
EXECUTION_RESULT = "execution_result"
"""The topic of what the robot did with each chunk."""
CHUNK_OUTCOME = "chunk_outcome"
"""The topic of how each chunk ended."""
CLOCK = "/clock"
"""The topic of the time in lockstep. A namespace does not move it, and without lockstep nobody publishes it."""
EPISODE_EVENT = "episode_event"
"""The topic of the changes of episodes, with how each ended."""
FOLLOWER_STATES = {side: f"follower_{side}/joint_states" for side in aloha.SIDES}
"""The topic of the joint states of each side's arm of the robot."""
LEADER_STATES = {side: f"leader_{side}/joint_states" for side in aloha.SIDES}
"""The topic of the joint states of each side's leader arm, by which a human drives."""
ARM_COMMANDS = {side: f"follower_{side}/arm_controller/joint_trajectory" for side in aloha.SIDES}
"""The topic of the commands to the six joints of each side's arm of the robot, with the back end ros2_control."""
GROUP_COMMANDS = "commands/joint_group"
"""The topic of the commands of a group of joints, below the namespace of an arm's driver of Interbotix."""
JOINT_GROUP_COMMANDS = {side: f"follower_{side}/{GROUP_COMMANDS}" for side in aloha.SIDES}
"""The topic of the same commands with the back end interbotix."""
