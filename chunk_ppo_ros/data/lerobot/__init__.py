"""Reads LeRobot datasets of the versions 2.0, 2.1 and 3 into episodes. `reader.py` has the reader."""
