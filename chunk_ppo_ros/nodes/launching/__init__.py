"""The parts of the launch files that they share. They import `launch`, which comes with ROS."""
