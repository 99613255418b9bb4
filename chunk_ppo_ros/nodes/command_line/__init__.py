"""Looks at topics and calls services where the command `ros2` is not installed: `topic` and `call`."""
