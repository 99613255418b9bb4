"""The command `replay` feeds a recorded run through reward_node and trainer_node, and compares the transitions."""
