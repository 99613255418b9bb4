"""The process that writes a run's page and plot for `report_writer.py`, so that training does not wait for drawing.

It is run as `python -m chunk_ppo_ros.reporting.report_process RUN_DIR INTERVAL`. Each line on its input requests the
page. It writes the page at most every INTERVAL seconds, less often where
writing takes long, and once more when the input ends. The input ends after the
last update, after Ctrl-C, and when the process that trains was killed. The exit status is 1 where the last page could
not be written.
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
"""The file in the run's folder that takes the output of this process. It is removed at the end where it is empty."""

LEAST_REST = 9.0
"""How many times as long as writing a page took this process rests before the next one. So the page of a very long run
takes at most a tenth of a core."""

NICENESS = 10
"""The niceness of this process, as for nice(1). It lets the process that trains run first."""


def main(run_dir: Path, interval: float) -> int:
    """Writes the page whenever it is requested and due, until the input ends. Returns the exit status."""
    os.nice(NICENESS)
    due = 0.0  # The time from which the next page may be written, s of steady time.
    wanted = False
    while True:
        timeout = max(0.0, due - time.monotonic()) if wanted else None
        readable, _, _ = select.select([sys.stdin.fileno()], [], [], timeout)
        if readable and not os.read(sys.stdin.fileno(), 4096):
            return _finish(run_dir)
        wanted = wanted or bool(readable)
        if wanted and time.monotonic() >= due:
            begin = time.monotonic()
            _write(run_dir, is_over=False)
            end = time.monotonic()
            wanted, due = False, end + rest(end - begin, interval)


def rest(seconds: float, interval: float) -> float:
    """Returns how long no page is written, s, after one that took `seconds`, where `interval` is the least."""
    return max(interval, LEAST_REST * seconds)


def _finish(run_dir: Path) -> int:
    """Writes the last page and returns the exit status."""
    if not _write(run_dir, is_over=True):
        return 1
    log = run_dir / LOG_NAME
    if log.is_file() and log.stat().st_size == 0:
        log.unlink()
    return 0


def _write(run_dir: Path, *, is_over: bool) -> bool:
    """Writes the page. Where that fails, prints the reason on standard error and returns false."""
    try:
        write_report(run_dir, is_over=is_over)
    except (ValueError, OSError) as error:
        print(f"the page of {run_dir / FILE_NAME} cannot be written: {error}", file=sys.stderr, flush=True)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2])))
