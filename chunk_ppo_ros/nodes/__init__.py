"""The nodes and the ROS code that they share. Only modules in this folder import rclpy."""
