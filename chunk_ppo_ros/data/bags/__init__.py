"""Writes and reads rosbag2 folders without ROS: recordings of runs, of teleoperation, and of commands."""
