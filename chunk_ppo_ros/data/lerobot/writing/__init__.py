"""Writes LeRobot datasets of version 3 with pyarrow and PyAV. LeRobot itself is not needed."""
