"""Measures how evenly robot_node commands the robot, from a recording of a run in real time."""
