"""robot_node: trajectories to commands of the arms."""
