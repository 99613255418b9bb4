"""The tasks, one file each; `registry.py` lists them, and other packages can add to the list."""
