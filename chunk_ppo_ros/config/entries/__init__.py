"""Reads settings whose value is a list of entries."""
