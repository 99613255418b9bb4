"""What robot_node takes: trajectories, joint states, episode events, and the requests of people."""
