"""What robot_node does with the leader arms when a human takes over, hands back, or resets the scene."""
