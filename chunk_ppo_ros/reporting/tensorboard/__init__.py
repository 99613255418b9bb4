"""Writes metrics for TensorBoard."""
