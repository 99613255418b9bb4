"""Runs `make faults`: hostile chunks through the chunk player, and then faults in a graph with robot_node."""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from chunk_ppo_ros.config import RobotConfig
from faults.chunk_trial import run_trial
from faults.counts import Counts, total
from faults.graph_cells import all_cells, sample
from faults.graph_chunks import send_hostile_chunks
from faults.graph_run import running_graph

CHUNKS_PER_TRIAL = 500
"""The number of chunks that one simulated robot gets."""
NUM_CHUNKS = 100_000
NUM_CHUNKS_LONG = 1_000_000


def robot_limits() -> RobotConfig:
    """Returns the limits of config/robot.yaml."""
    return RobotConfig(
        max_velocity=1.5,
        max_acceleration=10.0,
        max_start_jump=0.2,
        max_following_error=0.3,
        state_timeout=0.3,
        table_height=0.0,
        workspace_box=("x=-0.4/0.6", "y=-0.5/0.5", "z=-0.1/0.7"),
    )


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="faults", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random")
    parser.add_argument("--chunks", type=int, default=NUM_CHUNKS, help="number of hostile chunks without ROS")
    parser.add_argument("--long", action="store_true", help=f"{NUM_CHUNKS_LONG} hostile chunks")
    parser.add_argument("--trial", type=int, help="run only the trial of this number, to see a broken rule again")
    parser.add_argument("--cells", type=int, help="number of faults in the graph, drawn by the seed; all by default")
    parser.add_argument("--cell", help="run only this fault in the graph, to see a broken rule again; NODE/STATE/FAULT")
    parser.add_argument("--graph-chunks", type=int, default=1000, help="number of hostile chunks in the graph")
    parser.add_argument("--jobs", type=int, default=1, help="number of processes for the chunks without ROS")
    return parser.parse_args(arguments)


def run_chunks(options: argparse.Namespace) -> Counts:
    """Sends hostile chunks through the chunk player, and returns the counts."""
    num_chunks = NUM_CHUNKS_LONG if options.long else options.chunks
    if not num_chunks:
        return Counts()
    size = min(num_chunks, CHUNKS_PER_TRIAL)
    numbers = range(-(-num_chunks // size)) if options.trial is None else [options.trial]
    trial = functools.partial(run_trial, robot_limits(), options.seed, num_chunks=size)
    if options.jobs == 1:
        return total(map(trial, numbers))
    with ProcessPoolExecutor(options.jobs) as pool:
        return total(pool.map(trial, numbers))


def run_graph(options: argparse.Namespace) -> Counts:
    """Injects faults into a graph with robot_node, says which cannot be injected, and returns the counts."""
    unreachable = {f"{cell.node}: {cell.unreachable}": cell.node for cell in all_cells() if cell.unreachable}
    cells = sample(options.cells, options.seed)
    if options.cell:
        cells = [cell for cell in cells if str(cell) == options.cell]
    every = all_cells()
    num_unreachable = sum(bool(cell.unreachable) for cell in every)
    print(f"{len(every)} cells of node, state and fault, {num_unreachable} of them unreachable, {len(cells)} are run")
    for reason in unreachable:
        print(f"  unreachable: {reason}")
    if not cells and not options.graph_chunks:
        return Counts()
    with running_graph(robot_limits()) as graph:
        for cell in cells:
            graph.run(cell)
        if not options.cell:
            send_hostile_chunks(graph, options.graph_chunks, seed=options.seed)
        return graph.judge.counts


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the faults, prints what they did, and returns 1 where a rule was broken."""
    options = parse(arguments)
    parts = {"without ROS": run_chunks, "in the graph": run_graph}
    if options.trial is not None:
        del parts["in the graph"]
    elif options.cell:
        del parts["without ROS"]
    found = []
    for name, run in parts.items():
        start = time.monotonic()
        found.append(run(options))
        print(f"{name} ({time.monotonic() - start:.0f} s): {found[-1].details()}", flush=True)
    counts = total(found)
    for violation in counts.violations:
        print(violation)
    print(counts.closing_line())
    return 1 if counts.broken else 0
