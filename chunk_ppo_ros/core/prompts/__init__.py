"""Defines the prompts of a run, and says which one an episode has."""
