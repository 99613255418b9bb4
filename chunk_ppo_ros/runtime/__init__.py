"""The graph of nodes as data, and its processes."""
