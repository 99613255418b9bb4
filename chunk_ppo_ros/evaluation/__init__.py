"""Measurements: success, speed, and parity with openpi."""
