"""Handles the ALOHA robot without ROS and JAX: its layout, limits, units, images, sensors, chunk player and safety."""
