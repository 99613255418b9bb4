"""reward_node: the referee, which makes transitions."""
