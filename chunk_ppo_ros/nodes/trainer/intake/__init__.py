"""Judges the transitions that trainer_node receives, and keeps those that cannot be trained on."""
