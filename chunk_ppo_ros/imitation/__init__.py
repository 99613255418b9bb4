"""Behavior cloning, the success classifier, and the computation of norm_stats."""
