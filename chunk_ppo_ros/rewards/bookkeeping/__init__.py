"""Counts how the episodes of a run ended, and where its time went."""
