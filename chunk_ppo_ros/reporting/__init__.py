"""Writes the metrics, the plots and the page of a run."""
