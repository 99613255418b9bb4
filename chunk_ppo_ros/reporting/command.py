"""Writes the page of a run, whether it has ended, was stopped or still runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chunk_ppo_ros.config.commands.runs import report_parser
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.reporting.metrics_file import FILE_NAME
from chunk_ppo_ros.reporting.page.page import PAGE_NAME
from chunk_ppo_ros.reporting.report import PLOT_NAME, write_report


class ReportError(UserError):
    """A run has no metrics from which a report can be made."""


def find_run(name: str, *, runs: Path = Path("runs")) -> Path:
    """Returns the folder of a run. `name` is a path to it or its name below `runs`.

    Raises:
        ReportError: when neither folder has metrics; the text lists the existing runs.
    """
    for folder in (Path(name), runs / name):
        if (folder / FILE_NAME).is_file():
            return folder
    existing = sorted(path.parent.name for path in runs.glob(f"*/{FILE_NAME}"))
    raise ReportError(
        f"a run must be a folder with {FILE_NAME}, or the name of one below {runs}/, got '{name}'; "
        f"the runs here are {', '.join(existing) or 'none yet'}"
    )


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo report RUN`, which writes the page, the summary and the plot into the folder of the run."""
    folder = find_run(report_parser().parse_args(arguments).run)
    try:
        summary = write_report(folder)
    except (ValueError, OSError) as error:
        raise ReportError(f"no report can be made from {folder}: {error}") from error
    print(f"wrote {summary.with_name(PAGE_NAME)}; open it in a browser")
    print(f"wrote {summary} and {summary.with_name(PLOT_NAME)}")
    return 0
