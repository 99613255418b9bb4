"""What all nodes need to say on /diagnostics how they are, and at which time."""
