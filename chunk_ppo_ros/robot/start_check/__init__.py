"""Judges what the robot did at the start of a day: joints, grippers, and whose picture changed. It moves nothing."""
