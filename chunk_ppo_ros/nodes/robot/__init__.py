"""robot_node turns trajectories into commands for the arms."""
