"""Compares our numbers with those that openpi computed."""
