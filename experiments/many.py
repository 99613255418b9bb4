"""Runs many curves, for example `python -m experiments many reach:1,2 reach_kinematic/token:1 --at_once 2`.

Finished curves are left out. A curve that fails, or whose start fails, does not end the others. Curves that run at once
share the machine, so each takes more minutes than alone. A result records the load of the machine.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chunk_ppo_ros.config.flags import FlagParser
from chunk_ppo_ros.config.flags.numbers import whole_number_from
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.runtime.process_pool import worker_pool
from experiments import definitions, start_point
from experiments.definitions import Curve
from experiments.one import run_curve
from experiments.run import FOLDER

FAILURES = (UserError, RuntimeError, ValueError, OSError)
"""The errors that end only one curve."""


def parse(text: str) -> list[Curve]:
    """Returns the curves of "NAME[/VARIANT][:SEED,SEED]". The seed is 0 where none is given.

    Raises:
        UserError: for an unknown name, or a seed that is not a number of at least 0.
    """
    names, _, numbers = text.partition(":")
    name, _, variant = names.partition("/")
    seeds = numbers.split(",") if numbers else ["0"]
    if not all(seed.isdecimal() for seed in seeds):
        raise UserError(f"seeds must be numbers of at least 0 with commas between, got '{numbers}' in '{text}'")
    return [definitions.curve(name, variant=variant or definitions.DEFAULT, seed=int(seed)) for seed in seeds]


def run_many(curves: Sequence[Curve], root: Path, *, at_once: int) -> list[str]:
    """Runs the curves and returns the reason for each that failed."""
    ready, failed = _start(curves, root)
    for reason in failed:
        print(f"FAILED {reason}", flush=True)
    if not ready:
        return failed
    with worker_pool(min(at_once, len(ready))) as pool:
        for line, reason in pool.imap_unordered(functools.partial(_try, root), ready, chunksize=1):
            print(line or f"FAILED {reason}", flush=True)
            failed += [reason] if reason else []
    return failed


def _start(curves: Sequence[Curve], root: Path) -> tuple[list[Curve], list[str]]:
    """Returns the curves that have a start or are finished, and the reasons why the others have no start.

    Starts are made one after the other, because imitation uses several processes. Each is tried once.
    """
    errors: dict[Any, Exception | None] = {}
    ready, reasons = [], []
    for curve in curves:
        if (curve.folder(root) / "result.json").is_file():
            ready.append(curve)
            continue
        asked = curve.experiment
        start = (curve.name, asked.start, asked.config, asked.greedy)
        if start not in errors:
            errors[start] = _start_error(curve, root)
        error = errors[start]
        if error is None:
            ready.append(curve)
        else:
            reasons.append(_reason(curve, error))
    return ready, reasons


def _start_error(curve: Curve, root: Path) -> Exception | None:
    try:
        start_point.ensure(curve.name, curve.experiment, root)
    except FAILURES as error:
        return error
    return None


def _try(root: Path, curve: Curve) -> tuple[str, str]:
    """Runs a curve. Returns its line and no reason, or no line and the reason why it failed."""
    try:
        return run_curve(curve, root).line, ""
    except FAILURES as error:
        return "", _reason(curve, error)


def _reason(curve: Curve, error: Exception) -> str:
    return f"{curve.label} seed={curve.seed}: {type(error).__name__}: {error}"


def main(arguments: Sequence[str]) -> int:
    """Runs the curves that the arguments name."""
    parser = FlagParser(prog="python -m experiments many", description=__doc__)
    parser.add_argument(
        "curves", nargs="+", metavar="NAME[/VARIANT][:SEED,SEED]", help="e.g. reach_kinematic/token:1,2"
    )
    parser.add_argument("--at_once", type=whole_number_from(1), default=1, help="curves that run at the same time (1)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"of unfinished and finished curves ({FOLDER})")
    parsed = parser.parse_args(arguments)
    curves = [curve for text in parsed.curves for curve in parse(text)]
    return 1 if run_many(curves, parsed.folder, at_once=parsed.at_once) else 0
