"""Stores what reward_node decides, and goes on from there when its process was started anew."""
