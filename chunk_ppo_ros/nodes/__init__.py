"""The nodes and their shared ROS groundwork; the only modules that import rclpy."""
