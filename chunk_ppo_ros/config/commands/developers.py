"""The parser of `bench`, a command for developers of this package."""

from __future__ import annotations

from pathlib import Path

from chunk_ppo_ros.config.flags import FlagParser, command_line
from chunk_ppo_ros.config.flags.numbers import whole_number_from
from chunk_ppo_ros.config.presets import MODELS

BENCH_PARTS = ("act", "update", "observe", "topics", "checkpoint")


def bench_parser() -> FlagParser:
    """Returns the parser of `bench`."""
    parser = FlagParser(
        prog=command_line("bench"),
        description=(
            "Measures acting, updating, observing, the topics and checkpoints, and prints the median and the range of "
            "each.\n\ndocs/performance.md says what each figure means. The parts with ROS run in separate processes."
        ),
        examples=(
            (command_line("bench"), "measures all parts, in some minutes"),
            (command_line("bench --only act --runs 50"), "measures one part more often"),
        ),
    )
    parser.add_argument("--only", choices=BENCH_PARTS, help="measure one part")
    parser.add_argument(
        "--like",
        nargs="+",
        metavar="SIZES",
        help="instead measure sampling and gradient steps at sizes of openpi: 0.5m, 7.8m or a folder of reference data",
    )
    parser.add_argument("--variant", choices=sorted(MODELS), help="instead measure a whole variant on this device")
    parser.add_argument(
        "--dtype", choices=("bfloat16", "float32"), default="bfloat16", help="dtype of --variant (bfloat16)"
    )
    parser.add_argument(
        "--batch_size", type=whole_number_from(1), default=8, help="chunks of a gradient step of --variant (8)"
    )
    parser.add_argument("--runs", type=whole_number_from(1), default=20, help="timed runs of each case (20)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures with every run's value to a file")
    parser.add_argument("--folder", type=Path, help="parent of the temporary folder (the system's)")
    parser.add_argument("--domain_id", type=int, help="ROS domain; a free one where not given")
    return parser
