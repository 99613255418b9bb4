"""The actor, the learner and the loop in one process; no ROS."""
