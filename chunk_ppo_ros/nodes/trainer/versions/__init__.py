"""Makes, saves and announces the versions of a run in trainer_node."""
