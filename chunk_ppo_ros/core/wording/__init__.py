"""Writes what people read the way that people write it."""
