"""Writes the page of a run and the page that compares runs: single HTML files that load nothing from elsewhere."""
