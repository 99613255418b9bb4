"""The command `report`: the page and the plot of a run, whether it has ended, was stopped or still goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chunk_ppo_ros.config.flags import FlagParser
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.reporting.metrics_file import FILE_NAME
from chunk_ppo_ros.reporting.report import PLOT_NAME, write_report


class ReportError(UserError):
    """A run has nothing that a report could be made of."""


def find_run(name: str, *, runs: Path = Path("runs")) -> Path:
    """Returns the folder of a run: a path as it is given, or a name below `runs`.

    Raises:
        ReportError: when neither has metrics; the text lists the runs that are there.
    """
    for folder in (Path(name), runs / name):
        if (folder / FILE_NAME).is_file():
            return folder
    there = sorted(path.parent.name for path in runs.glob(f"*/{FILE_NAME}"))
    raise ReportError(
        f"a run must be a folder with {FILE_NAME}, or the name of one below {runs}/, got '{name}'; "
        f"the runs here are {', '.join(there) or 'none yet'}"
    )


def main(arguments: Sequence[str]) -> int:
    """`python -m chunk_ppo_ros report RUN`: writes RUN/summary.md and RUN/learning_curve.png."""
    parser = FlagParser(prog="chunk_ppo_ros report", description=__doc__)
    parser.add_argument("run", help="folder of the run, such as runs/mine, or its name below runs/")
    folder = find_run(parser.parse_args(arguments).run)
    try:
        summary = write_report(folder)
    except (ValueError, OSError) as error:
        raise ReportError(f"no report can be made of {folder}: {error}") from error
    print(f"wrote {summary} and {summary.with_name(PLOT_NAME)}")
    return 0
