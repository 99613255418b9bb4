"""Ends a test run at a signal. Without this, rclpy takes the signal, and the test that runs fails for no reason of its.

`rclpy.init` handles SIGTERM, and also a SIGINT that the process ignores, by shutting its contexts down. The executor of
the test then raises ExternalShutdownException, and pytest goes on with the next test. rclpy calls the handlers that
were there before it as well, so that these end the run first.
"""

from __future__ import annotations

import signal
from types import FrameType

import pytest


def install() -> None:
    """Makes SIGTERM and SIGINT end the tests of this process, also where a shell has made it ignore SIGINT."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> None:
    name = signal.Signals(number).name
    pytest.exit(f"the process of the tests got {name}, for example at the end of a `timeout`", 128 + number)
