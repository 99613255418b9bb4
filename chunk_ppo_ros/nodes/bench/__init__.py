"""Measurements that need ROS."""
