"""Decides the next step of the policy in the graph from what policy_node reports. Nothing here imports ROS or JAX."""
