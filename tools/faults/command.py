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

CHUNKS_PER_TRIAL = 500
"""The number of chunks that one simulated robot gets."""
NUM_CHUNKS = 100_000
NUM_CHUNKS_LONG = 1_000_000


def robot_limits() -> RobotConfig:
    """Returns the limits of config/robot.yaml."""
    return RobotConfig(
        max_velocity=1.5, max_acceleration=10.0, max_start_jump=0.2, max_following_error=0.3, state_timeout=0.2
    )


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="faults", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random")
    parser.add_argument("--chunks", type=int, default=NUM_CHUNKS, help="number of hostile chunks without ROS")
    parser.add_argument("--long", action="store_true", help=f"{NUM_CHUNKS_LONG} hostile chunks")
    parser.add_argument("--trial", type=int, help="run only the trial of this number, to see a broken rule again")
    parser.add_argument("--cells", type=int, default=0, help="number of faults in the graph")
    parser.add_argument("--jobs", type=int, default=1, help="number of processes for the chunks without ROS")
    return parser.parse_args(arguments)


def run_chunks(options: argparse.Namespace) -> Counts:
    """Sends hostile chunks through the chunk player, and returns the counts."""
    num_chunks = NUM_CHUNKS_LONG if options.long else options.chunks
    size = min(num_chunks, CHUNKS_PER_TRIAL)
    numbers = range(-(-num_chunks // size)) if options.trial is None else [options.trial]
    trial = functools.partial(run_trial, robot_limits(), options.seed, num_chunks=size)
    if options.jobs == 1:
        return total(map(trial, numbers))
    with ProcessPoolExecutor(options.jobs) as pool:
        return total(pool.map(trial, numbers))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the faults, prints what they did, and returns 1 where a rule was broken."""
    options = parse(arguments)
    start = time.monotonic()
    counts = run_chunks(options)
    print(f"without ROS ({time.monotonic() - start:.0f} s): {counts.details()}", flush=True)
    for violation in counts.violations:
        print(violation)
    print(counts.closing_line())
    return 1 if counts.broken else 0
