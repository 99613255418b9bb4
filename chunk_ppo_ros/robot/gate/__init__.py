"""Decides what may be commanded: the limits of each step, and which joint states are believed."""
