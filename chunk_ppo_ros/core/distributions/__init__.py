"""Distributions of numbers, as histograms of a few bins."""
