"""Reads the histograms of a run's updates, and draws those of a few of them."""
