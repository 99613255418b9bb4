"""What robot_node tells of chunks that have ended, and how it is kept."""
