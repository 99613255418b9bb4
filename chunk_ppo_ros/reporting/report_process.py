"""The process that writes a run's page and plot for `report_writer.py`, so that drawing does not hold up training.

Run as `python -m chunk_ppo_ros.reporting.report_process RUN_DIR INTERVAL`. Each line on its input asks for the page,
which it writes at most every INTERVAL seconds, and once more when the input ends: after the last update, after Ctrl-C,
and where the process that trains was killed. Its exit status is 1 where the last page could not be written.
"""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path

from chunk_ppo_ros.reporting.metrics_file import FILE_NAME
from chunk_ppo_ros.reporting.report import write_report

LOG_NAME = "report.log"
"""File in the run's folder that takes what this process says; it goes away where nothing was said."""

NICENESS = 10
"""How far this process steps back behind the one that trains, on the scale of nice(1)."""


def main(run_dir: Path, interval: float) -> int:
    """Writes the page whenever it is asked for and due, until the input ends; returns the exit status."""
    os.nice(NICENESS)
    due = 0.0  # s of steady time
    wanted = False
    while True:
        timeout = max(0.0, due - time.monotonic()) if wanted else None
        readable, _, _ = select.select([sys.stdin.fileno()], [], [], timeout)
        if readable and not os.read(sys.stdin.fileno(), 4096):
            return _finish(run_dir)
        wanted = wanted or bool(readable)
        if wanted and time.monotonic() >= due:
            _write(run_dir)
            wanted, due = False, time.monotonic() + interval


def _finish(run_dir: Path) -> int:
    """Writes the last page; returns the exit status."""
    if not _write(run_dir):
        return 1
    log = run_dir / LOG_NAME
    if log.is_file() and log.stat().st_size == 0:
        log.unlink()
    return 0


def _write(run_dir: Path) -> bool:
    """Writes the page; says on standard error why it could not, which does not end this process."""
    try:
        write_report(run_dir)
    except (ValueError, OSError) as error:
        print(f"the page of {run_dir / FILE_NAME} cannot be written: {error}", file=sys.stderr, flush=True)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2])))
