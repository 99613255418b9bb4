"""Reads recorded episodes, reads and writes bags, and keeps transitions on disk, without JAX and ROS."""
