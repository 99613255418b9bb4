"""Injects faults around the chunk player and robot_node, and counts what the commands do then."""
