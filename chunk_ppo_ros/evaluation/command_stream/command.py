"""The command `command-stream` measures and draws how evenly robot_node commanded the robot in a recorded run."""

from __future__ import annotations

import json
from collections.abc import Sequence

from chunk_ppo_ros.config.commands.runs import command_stream_parser
from chunk_ppo_ros.core.atomic_file import write_atomically
from chunk_ppo_ros.data.bags.command_stream import read_command_stream
from chunk_ppo_ros.evaluation.command_stream.stream_figures import StreamFigures
from chunk_ppo_ros.evaluation.command_stream.stream_plot import draw_stream

PLOT_NAME, RECORD_NAME = "command_stream.png", "command_stream.json"


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo command-stream BAG`, which writes a picture and a JSON file with percentiles."""
    given = command_stream_parser().parse_args(arguments)
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
