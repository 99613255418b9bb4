"""Describes the graph of nodes as data, and runs its processes."""
