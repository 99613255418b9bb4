"""Kills the nodes of a simulated graph at random moments, and judges whether a chunk is lost or trained on twice."""
