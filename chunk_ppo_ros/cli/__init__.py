"""Runs commands by their names, and contains the demo."""
