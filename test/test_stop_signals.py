"""Tests that a signal to the process of the tests ends the run, instead of failing the test that spins a graph."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest
import rclpy
from rclpy.node import Node

from support.spinner import Spinner

pytestmark = pytest.mark.graph

DELAY = 0.2  # s, so that the graph spins when the signal comes


@pytest.fixture
def spinner() -> Iterator[Spinner]:
    rclpy.init()
    spinner = Spinner(Node("spun", use_global_arguments=False))
    yield spinner
    spinner.close()
    rclpy.try_shutdown()


@pytest.mark.parametrize(
    ("number", "ending"), [(signal.SIGTERM, pytest.exit.Exception), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_signal_ends_the_tests_while_a_graph_spins(
    spinner: Spinner, number: signal.Signals, ending: type[BaseException]
) -> None:
    timer = threading.Timer(DELAY, os.kill, (os.getpid(), number))
    timer.start()
    with pytest.raises(ending):
        spinner.until(lambda: False)
    timer.join()
