"""Measures success, speed, and the agreement of the model with openpi."""
