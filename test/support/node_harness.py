"""Has what the tests of nodes share: a configuration, a ROS context of its own, and waiting that ends."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rclpy.node import Node

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.config.parameter_file import write_parameter_file
from support.spinner import Spinner

with warnings.catch_warnings():  # loading type support imports a parser that uses a deprecated module of Python
    warnings.simplefilter("ignore", DeprecationWarning)
    import rosidl_generator_py  # noqa: F401

_OWN_TOPICS = ("/rosout", "/parameter_events")


def node_config(folder: Path, **sections: dict[str, Any]) -> config_lib.TrainConfig:
    """Returns the debug preset with small rollouts, writing below `folder`. `sections` change single settings."""
    debug = config_lib.PRESETS["debug"]
    defaults: dict[str, dict[str, Any]] = {
        "ppo": {"num_chunks_per_update": 4, "batch_size": 2},
        "run": {"run_dir": str(folder / "runs"), "checkpoint_root": str(folder / "checkpoints"), "wandb": False},
    }
    for name in dataclasses.asdict(debug):
        changes = {**defaults.get(name, {}), **sections.get(name, {})}
        debug = dataclasses.replace(debug, **{name: dataclasses.replace(getattr(debug, name), **changes)})
    return debug


class Peer(Node):
    """Plays the rest of the graph, and collects what it hears by topic."""

    def __init__(self, name: str = "peer") -> None:
        super().__init__(name, use_global_arguments=False)
        self.heard: dict[str, list[Any]] = {}

    def listen(self, message_type: type, topic: str, profile: Any) -> None:
        """Collects the messages of a topic."""
        self.create_subscription(message_type, topic, self.heard.setdefault(topic, []).append, profile)

    def is_connected(self) -> bool:
        """Returns whether somebody listens to each topic of the peer, and somebody sends what it collects."""
        publishers = [publisher for publisher in self.publishers if not publisher.topic_name.endswith(_OWN_TOPICS)]
        listened = all(publisher.get_subscription_count() for publisher in publishers)
        return listened and all(self.count_publishers(topic) for topic in self.heard)


class Graph(Spinner):
    """Nodes in one executor, and what they log."""

    def __init__(self, peer: Peer, capture: pytest.CaptureFixture[str]) -> None:
        super().__init__(peer)
        self.peer = peer
        self._capture = capture
        self._log = ""

    def logged(self, text: str) -> int:
        """Returns how often a text was logged by a node."""
        self._log += self._capture.readouterr().err
        return self._log.count(text)

    def seen(self) -> str:
        """Returns what the nodes have logged so far, for the text of a failure."""
        return f"the log is:\n{self._log}"


@contextmanager
def running_graph(
    config: config_lib.TrainConfig, folder: Path, peer: Callable[[], Peer], capture: pytest.CaptureFixture[str]
) -> Iterator[Graph]:
    """Runs ROS with the configuration as its parameter file, and gives a graph of one peer."""
    parameters = folder / "parameters.yaml"
    write_parameter_file(config, parameters)
    rclpy.init(args=["--ros-args", "--params-file", str(parameters)])
    try:
        graph = Graph(peer(), capture)
        try:
            yield graph
        finally:
            graph.close()
    finally:
        rclpy.try_shutdown()


@contextmanager
def graph_starter(
    folder: Path, node: Callable[[], Node], peer: Callable[[], Peer], capture: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Graph]]:
    """Gives what starts a node with settings, as `graph.node`, and returns the graph once all are connected."""
    with ExitStack() as running:

        def start(**sections: dict[str, Any]) -> Graph:
            config = node_config(folder, **sections)
            graph = running.enter_context(running_graph(config, folder, peer, capture))
            graph.node = graph.add(node())
            graph.until(graph.peer.is_connected)
            return graph

        yield start
