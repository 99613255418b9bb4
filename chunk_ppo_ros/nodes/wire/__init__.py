"""Converts types to and from messages, and defines QoS profiles and ROS parameters."""
