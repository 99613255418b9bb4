"""Runs `make power-cut` in a process."""

import sys

from power_cut.command import main

if __name__ == "__main__":
    sys.exit(main())
