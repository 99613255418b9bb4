"""Runs one curve by `python -m experiments run NAME [--variant NAME] --seed N`. Its last line has the figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chunk_ppo_ros.config.flags import FlagParser
from chunk_ppo_ros.config.flags.numbers import whole_number_from
from experiments import definitions
from experiments.one import run_curve

FOLDER = Path("runs") / "experiments"
"""The folder of the curves' files, below the present folder."""


def main(arguments: Sequence[str]) -> int:
    """Runs the curve that the arguments name, unless it is finished, and prints its figures."""
    parser = FlagParser(prog="python -m experiments run", description=__doc__)
    parser.add_argument("name", help=f"one of {', '.join(definitions.EXPERIMENTS)}")
    parser.add_argument("--variant", default=definitions.DEFAULT, help=f"one of {', '.join(definitions.VARIANTS)}")
    parser.add_argument(
        "--seed", type=whole_number_from(0), default=0, help="of training, its starts and the evaluation's starts (0)"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"of unfinished and finished curves ({FOLDER})")
    parser.add_argument("--fresh", action="store_true", help="forget what was done of this curve; the start stays")
    parser.add_argument("--any_code", action="store_true", help="go on with what other code has begun")
    parsed = parser.parse_args(arguments)
    curve = definitions.curve(parsed.name, variant=parsed.variant, seed=parsed.seed)
    print(run_curve(curve, parsed.folder, fresh=parsed.fresh, any_code=parsed.any_code).line)
    return 0
