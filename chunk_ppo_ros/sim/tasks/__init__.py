"""Defines the tasks, each in its own file. `registry.py` lists them, and other packages can add tasks."""
