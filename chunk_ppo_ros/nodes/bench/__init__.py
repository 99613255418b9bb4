"""Benchmarks that need ROS."""
