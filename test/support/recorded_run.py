"""Runs a small graph that is recorded, with an operator, for tests of bags. Nodes of it may be killed meanwhile."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor

from support.operators import Operator, OperatorWithAPlan

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from chaos.settings import SMALL_GRAPH, SMALL_TOWERS
from chaos.supervised_graph import SupervisedGraph

from support.patience import PATIENCE

RUN = "taped"
NUM_CHUNKS = 6  # of an update
NUM_UPDATES = 3
_SETTINGS = {
    **SMALL_GRAPH,
    "total_timesteps": NUM_UPDATES * NUM_CHUNKS * 4 - 3,
    "num_chunks_per_update": NUM_CHUNKS,
    "batch_size": NUM_CHUNKS,
    "simulator": "kinematic",
    "feedback_weight": 1.0,
}


def record_run(
    folder: Path,
    repository: Path,
    *flags: str,
    operator: Callable[[Context], Operator] = OperatorWithAPlan,
    kills: Mapping[int, str] | None = None,
) -> list[str]:
    """Runs the graph to its end below a folder, and returns what the operator did and which nodes were killed.

    Args:
        folder: the folder of everything that the run writes.
        repository: the folder of the package.
        flags: further flags of the command `graph`.
        operator: makes the operator.
        kills: the names of the nodes that are killed, by the number of outcomes that the operator has heard then.
    """
    given = [text for name, value in _SETTINGS.items() for text in (f"--{name}", str(value))]
    places = ["--run_dir", str(folder / "runs"), "--checkpoint_root", str(folder / "checkpoints"), "--exp_name", RUN]
    small = ["--config", "debug", *places, "--no_wandb", "--record", *given, *flags, "--tower_sizes", *SMALL_TOWERS]
    context = Context()
    rclpy.init(args=[], context=context, domain_id=int(os.environ["ROS_DOMAIN_ID"]))
    person, executor = operator(context), SingleThreadedExecutor(context=context)
    executor.add_node(person)
    graph = SupervisedGraph(small, os.environ | {"PYTHONPATH": str(repository)}, folder / "output")
    waiting = dict(kills or {})
    try:
        graph.start(resume=False)
        deadline = time.monotonic() + PATIENCE
        while graph.exit_code is None and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.05)
            for number in [number for number in waiting if person.num_outcomes >= number]:
                person.acts += [f"kill {name}" for name in graph.kill([waiting.pop(number)])]
    finally:
        code = graph.exit_code
        graph.stop()
        executor.shutdown(timeout_sec=0.2)
        person.destroy_node()
        context.try_shutdown()
    assert code == 0, (person.acts, graph.last_lines(60))
    return person.acts
