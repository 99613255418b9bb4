"""Looks at what a run has stored, and changes it while the run is stopped."""
