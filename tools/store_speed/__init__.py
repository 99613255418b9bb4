"""Measures the store beside the journal without syncs, and loads the intake of a trainer_node."""
