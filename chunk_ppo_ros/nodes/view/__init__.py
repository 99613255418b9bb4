"""view_node draws what a run does, for Foxglove, rqt and rviz."""
