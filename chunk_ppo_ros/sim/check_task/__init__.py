"""Checks a task of the simulator before anybody trains on it: the command `check-task`."""
