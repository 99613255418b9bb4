"""Finds the images of a recording of recorder_node: what the policy saw, and what the cameras sent."""
