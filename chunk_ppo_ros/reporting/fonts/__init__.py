"""Chooses fonts for the texts of plots and pictures."""
