"""The checks of the command `doctor`, a file for each group. They judge facts, and know neither ROS nor files."""
