"""Distributions of the numbers of a rollout and of its update, which a run stores for each update."""
