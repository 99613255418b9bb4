"""Behaviour cloning, the success classifier and norm_stats."""
