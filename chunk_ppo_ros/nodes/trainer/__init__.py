"""trainer_node: transitions to new weights."""
