"""What nodes that read sensors share: the cameras, the ages of readings, and what can be wrong with them."""
