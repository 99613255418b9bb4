"""Runs `make fuzz` in a process."""

import sys

from fuzz_recordings.command import main

if __name__ == "__main__":
    sys.exit(main())
