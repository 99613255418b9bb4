"""Reward terms, the assembly of transitions and their delivery; no ROS, no JAX."""
