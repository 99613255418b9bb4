"""Runs `make chaos`: kills nodes of a simulated graph at random moments, and judges what it trained on."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from chaos.campaign import Campaign
from chaos.closing import Closing
from chaos.evidence import collect
from chaos.judge import RUNNING, Judge
from chaos.kill_plan import draw_kills
from chaos.replay import weights_equal
from chaos.settings import NODES, RUN, SUPERVISOR, flags
from chaos.store_files import SegmentKeeper
from chaos.supervised_graph import SupervisedGraph
from chaos.witness import Witness
from chunk_ppo_ros.runtime.ros_domain import claim_domain

TOOLS = Path(__file__).resolve().parents[1]
KEPT = "kept_stores"
"""The folder with links to all segments that there were."""
NUM_PROCESSORS = 2
"""The number of processors that the run and its replay are kept to. Another number may give other rounding."""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="chaos", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20, help="number of kills")
    parser.add_argument("--chunks", type=int, default=500, help="number of chunks that the robot executes")
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random")
    parser.add_argument("--chunks-per-update", type=int, default=32, help="number of chunks in an update")
    parser.add_argument("--simulator", default="kinematic", help="simulator of the graph")
    parser.add_argument("--keep", type=Path, help="empty folder for everything that the run writes")
    return parser.parse_args(arguments)


def _environment(domain: int, folder: Path) -> dict[str, str]:
    """Returns the variables of all processes. They keep to this machine and share what XLA compiled."""
    path = [str(TOOLS.parent), str(TOOLS), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {
        "ROS_DOMAIN_ID": str(domain),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "PYTHONPATH": os.pathsep.join(path),
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": os.environ.get("JAX_COMPILATION_CACHE_DIR", str(folder / "programs")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "ROS_HOME": str(folder / "ros"),
    }
    kept = {name: value for name, value in os.environ.items() if name not in ("ROS_STATIC_PEERS", "ROS_LOCALHOST_ONLY")}
    return kept | variables


@contextlib.contextmanager
def few_processors() -> Iterator[None]:
    """Keeps all processes that are started in this context to `NUM_PROCESSORS` processors."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:NUM_PROCESSORS])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def running(options: argparse.Namespace, folder: Path) -> Iterator[Campaign]:
    """Yields a campaign in a ROS domain of its own, and leaves no process behind."""
    settings = flags(
        folder, chunks_per_update=options.chunks_per_update, seed=options.seed, simulator=options.simulator
    )
    with claim_domain() as domain:
        environment = _environment(domain, folder)
        graph = SupervisedGraph(settings, environment, folder / "output.txt")
        witness = Witness(environment, folder / "listener.txt")
        keeper = SegmentKeeper(folder / "runs" / RUN / "store", folder / KEPT)
        try:
            yield Campaign(graph, witness, folder / "checkpoints" / RUN, say=say)
        finally:
            graph.stop()
            keeper.close()
            witness.close()


def say(text: str) -> None:
    """Prints a line at once."""
    print(text, flush=True)


def judged(campaign: Campaign, options: argparse.Namespace, folder: Path) -> bool:
    """Prints what became of the chunks, with the counts last, and returns whether nothing is wrong."""
    evidence = collect(
        campaign, checkpoints=folder / "checkpoints" / RUN, stores=folder / "runs" / RUN / "store", kept=folder / KEPT
    )
    verdict = Judge(evidence).verdict()
    for line in (*verdict.set_aside, *verdict.lost, *verdict.trained_twice, *verdict.contradictions):
        say(line)
    fates = ", ".join(f"{fate} {number}" for fate, number in sorted(verdict.counts.items()))
    say(f"what became of the chunks: {fates}")
    counted = [heard.count for heard in campaign.witness.messages if heard.topic == "episode_state"][-1:]
    say(f"reward_node counts {counted[0] if counted else 'no'} chunks that ran when the robot died")
    equal = weights_equal(folder, _environment(0, folder))
    closing = Closing(
        kills=options.kills,
        chunks=verdict.counts["executed"],
        running_when_robot_died=verdict.counts[RUNNING],
        lost=len(verdict.lost),
        trained_twice=len(verdict.trained_twice),
        weights_equal=equal,
    )
    say(str(closing))
    return closing.is_right and not (verdict.contradictions or campaign.stalls or campaign.surrenders)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the graph, prints the verdict with the counts last, and returns 1 where a chunk is lost or trained twice."""
    options = parse(arguments)
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos_")))
        folder.mkdir(parents=True, exist_ok=True)
        stack.enter_context(few_processors())
        began = time.monotonic()
        with running(options, folder) as campaign:
            campaign.run(draw_kills(options.kills, options.chunks, options.seed), options.chunks)
        took = time.monotonic() - began
        say(f"the run took {took:.0f} s, {len(campaign.witness.executed) / took:.1f} chunks a second")
        counts = campaign.killed()
        say("killed " + ", ".join(f"{name} {counts.get(name, 0)} times" for name in (*NODES, SUPERVISOR)))
        stood_still = f"the graph stood still for good {len(campaign.stalls)} times"
        say(f"{stood_still}, the supervisor gave up {campaign.surrenders} times")
        return 0 if judged(campaign, options, folder) else 1


if __name__ == "__main__":
    sys.exit(main())
