"""The program whose system calls are recorded: one session of a case."""

import os
import sys
from pathlib import Path

from power_cut.case import say
from power_cut.registry import CASES
from power_cut.trace import BEGIN


def main(name: str, folder: str, session: str) -> None:
    """Writes what a session of a case writes. It ends without closing anything that the case has left open."""
    case = CASES[name]()
    say(BEGIN)
    case.write(Path(folder), int(session))
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
