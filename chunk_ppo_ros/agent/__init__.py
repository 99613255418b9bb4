"""The actor, the learner, and the training loop in one process. Nothing here imports ROS."""
