"""Metrics, where they are written to, plots and the page of a run."""
