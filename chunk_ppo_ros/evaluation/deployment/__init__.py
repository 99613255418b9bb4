"""Runs checkpoints without a trainer over the graph, and counts how often they succeed. No JAX but in the commands."""
