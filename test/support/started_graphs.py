"""Starts graphs with a stand-in for the supervisor, and makes the pages of their runs."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chunk_ppo_ros.agent.run_start import graph_command
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.config.flags.run_start import RunStart
from chunk_ppo_ros.config.parameter_file import load_config_file
from chunk_ppo_ros.reporting.metrics_log import MetricsLog
from chunk_ppo_ros.reporting.page.run_data import RunData
from chunk_ppo_ros.runtime import graph as graph_lib


@dataclasses.dataclass(frozen=True)
class Started:
    """A graph that a command would have started, and how the command would have run it."""

    graph: graph_lib.Graph
    config: TrainConfig
    named: dict[str, Any]


Start = Callable[[list[str]], Started]
"""Gives arguments to the command `graph`, and returns what it would start."""


@contextlib.contextmanager
def claim(wanted: int | None, **_: Any) -> Iterator[int]:
    """Gives a domain without claiming it, because other programs of this machine may be in it."""
    yield 99 if wanted is None else wanted


def starter(monkeypatch: pytest.MonkeyPatch) -> Start:
    """Returns a function that starts graphs without their processes."""
    started: list[Started] = []

    class FakeSupervisor:
        def __init__(self, graph: graph_lib.Graph, **named: Any) -> None:
            started.append(Started(graph, load_config_file(graph.parameter_file), named))

        def run(self) -> int:
            return 3

    monkeypatch.setattr(graph_lib, "Supervisor", FakeSupervisor)
    monkeypatch.setattr(graph_lib, "claim_domain", claim)
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)

    def run(arguments: list[str]) -> Started:
        assert graph_command.main(arguments) == 3
        return started.pop()

    return run


def page_of(started: Started, **record: Any) -> RunData:
    """Returns what the page of a run knows, whose trainer_node had the variables of a start."""
    how = {"run_start": RunStart.of_environment(started.named["environment"]), "form": "graph", **record}
    return page_with_start(started.config, **how)


def page_with_start(config: TrainConfig, **record: Any) -> RunData:
    """Returns what the page of a run knows after a start more."""
    MetricsLog.open(config.run.folder, config=config, run_id="one-1", **record).close()
    return RunData.read(config.run.folder)


def words_for_bash(command: str) -> list[str]:
    """Returns the words that bash hands to the program of a command of this package."""
    program = 'chunk_ppo() { printf "%s\\0" "$@"; }\n'
    result = subprocess.run(["bash", "-c", program + command], capture_output=True, check=True)
    return result.stdout.decode().split("\0")[:-1]
