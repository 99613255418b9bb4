"""Tells in which order a node has handled what it heard, so that a replay can hand it over in the same order."""
