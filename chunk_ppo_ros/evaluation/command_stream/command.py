"""The command `command-stream` measures and draws how evenly robot_node commanded the robot in a recorded run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from chunk_ppo_ros.config.flags import FlagParser
from chunk_ppo_ros.core.atomic_file import write_atomically
from chunk_ppo_ros.data.bags.command_stream import read_command_stream
from chunk_ppo_ros.evaluation.command_stream.stream_figures import StreamFigures
from chunk_ppo_ros.evaluation.command_stream.stream_plot import draw_stream
from chunk_ppo_ros.robot import aloha

PLOT_NAME, RECORD_NAME = "command_stream.png", "command_stream.json"


def main(arguments: Sequence[str]) -> int:
    """Runs `python -m chunk_ppo_ros command-stream BAG`, which writes a picture and a JSON file with percentiles."""
    parser = FlagParser(prog="chunk_ppo_ros command-stream", description=__doc__)
    parser.add_argument("bag", type=Path, help="a recording of a run in real time, such as runs/mine/bag")
    parser.add_argument(
        "--out", type=Path, help="folder for the results; the folder that holds the recording if left out"
    )
    parser.add_argument("--side", choices=aloha.SIDES, default="left", help="the arm")
    parser.add_argument("--rate", type=float, default=50.0, help="robot.control_rate of the run, Hz")
    given = parser.parse_args(arguments)
    stream = read_command_stream(given.bag, side=given.side)
    figures = StreamFigures.of(stream, rate=given.rate)
    folder = given.out or given.bag.resolve().parent
    folder.mkdir(parents=True, exist_ok=True)
    draw_stream(folder / PLOT_NAME, stream, figures, rate=given.rate)
    content = json.dumps(figures.record(), indent=1) + "\n"
    write_atomically(folder / RECORD_NAME, lambda file: file.write(content.encode()))
    print(figures.text())
    print(f"wrote {folder / PLOT_NAME} and {folder / RECORD_NAME}")
    return 0
