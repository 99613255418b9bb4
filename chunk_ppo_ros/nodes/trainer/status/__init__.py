"""What trainer_node says of itself on /diagnostics."""
