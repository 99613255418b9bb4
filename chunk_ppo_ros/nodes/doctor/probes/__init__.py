"""Collects the facts that the command `doctor` judges. Each probe ends within a time limit, and commands nothing."""
