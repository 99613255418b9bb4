"""Gathers what a page draws of the updates and episodes of a run, in a size that does not grow with the run."""
