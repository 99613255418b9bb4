"""The command `start-of-day`, which moves each joint a little and the grippers, and writes a report."""
