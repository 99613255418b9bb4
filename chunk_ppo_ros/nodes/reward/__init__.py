"""reward_node is the referee, which judges chunks and makes transitions."""
