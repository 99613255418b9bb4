"""Writes the page of a run, whether it has ended, was stopped or still runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chunk_ppo_ros.config.commands.runs import report_parser
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.files.deployed_run import EPISODES, RESULT_TEXT
from chunk_ppo_ros.core.folders import check_file
from chunk_ppo_ros.reporting.metrics_file import FILE_NAME
from chunk_ppo_ros.reporting.page.comparison import COMPARISON_NAME, write_comparison
from chunk_ppo_ros.reporting.page.page import PAGE_NAME
from chunk_ppo_ros.reporting.page.run_data import RunData
from chunk_ppo_ros.reporting.report import PLOT_NAME, write_report


class ReportError(UserError):
    """A run has no metrics from which a report can be made."""


def find_run(name: str, *, runs: Path = Path("runs")) -> Path:
    """Returns the folder of a run. `name` is a path to it or its name below `runs`.

    Raises:
        ReportError: when neither folder has metrics. The text lists the existing runs, or says which files have the
            result of a run without a trainer.
    """
    for folder in (Path(name), runs / name):
        if (folder / FILE_NAME).is_file():
            return folder
    existing = sorted(path.parent.name for path in runs.glob(f"*/{FILE_NAME}"))
    for folder in (Path(name), runs / name):
        if folder.is_dir() and (files := _of_deployment(folder)):
            raise ReportError(
                f"a run must have {FILE_NAME} for its page, got {folder} of a run without a trainer (deploy, or "
                f"evaluate --graph), which has no curves; read {files}; where two "
                "checkpoints are compared, wait for the last episode, because these files name the one that acts"
            )
    raise ReportError(
        f"a run must be a folder with {FILE_NAME}, or the name of one below {runs}/, got '{name}'; "
        f"the runs here are {', '.join(existing) or 'none; start the command in the folder that has runs/'}"
    )


def _of_deployment(folder: Path) -> str:
    """Returns the files of a run without a trainer with what they show; empty for a folder that has none of them."""
    shown = {RESULT_TEXT: "the result so far", EPISODES: "a line for each episode"}
    return " and ".join(f"{folder / file} ({what})" for file, what in shown.items() if (folder / file).is_file())


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo report RUN...`. It writes the page of one run, or a page that compares several."""
    parsed = report_parser().parse_args(arguments)
    folders = [find_run(name) for name in parsed.runs]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise ReportError(f"each run must be named once to be compared, got {' '.join(parsed.runs)}; leave one out")
    if len(folders) == 1 and parsed.to is not None:
        raise ReportError(
            f"--to must be given with several runs, got {parsed.to} with one; its page is written into its own folder"
        )
    return _report(folders[0]) if len(folders) == 1 else _compare(folders, parsed.to)


def _report(folder: Path) -> int:
    try:
        summary = write_report(folder)
    except (ValueError, OSError) as error:
        raise ReportError(f"no report can be made from {folder}: {error}") from error
    print(f"wrote {summary.with_name(PAGE_NAME)}; open it in a browser")
    print(f"wrote {summary} and {summary.with_name(PLOT_NAME)}")
    return 0


def _compare(folders: Sequence[Path], to: Path | None) -> int:
    path = folders[0].parent / COMPARISON_NAME if to is None else to
    check_file(path, "--to")
    try:
        runs = [RunData.read(folder) for folder in folders]
        write_comparison(runs, path)
    except (ValueError, OSError) as error:
        raise ReportError(f"no comparison can be made of these runs: {error}") from error
    print(f"wrote {path}, which compares {len(runs)} runs; open it in a browser")
    return 0
