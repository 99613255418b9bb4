"""Online reinforcement learning (PPO over action chunks) of a Pi0-FAST policy on a bimanual ALOHA, in ROS 2."""

__version__ = "0.1.0"
