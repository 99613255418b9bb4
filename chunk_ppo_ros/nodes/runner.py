"""The life of a node's process: start, spin, clean end.

A SIGINT or SIGTERM ends it within a second with exit code 0 and no traceback; a configuration error is one line on stderr and
exit code 2.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType

import rclpy
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

CONFIGURATION_ERROR = 2
"""Exit code where a node refuses its configuration."""


class EndOfRun(Exception):  # noqa: N818 - not an error
    """Raised in a callback to end the process with exit code 0, for example by trainer_node when training is finished."""


class _Stop(BaseException):
    """Raised by the signal handler while nothing spins yet; not an Exception, so that no handler of a node takes it."""


class _Signals:
    """Turns the first SIGINT or SIGTERM into the end of spinning, or of the construction that is under way."""

    def __init__(self) -> None:
        self.received = False
        self.executor: Executor | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            return
        self.received = True
        if self.executor is None:
            raise _Stop
        self.executor.wake()


def run_node(
    factory: Callable[[], Node], args: Sequence[str] | None = None, *, executor: Callable[[], Executor] | None = None
) -> int:
    """Runs one node until it is stopped.

    Args:
        factory: makes the node after ROS is initialised; a ValueError from it is a configuration error.
        args: the command line without the program's name; sys.argv[1:] where not given.
        executor: makes the executor; SingleThreadedExecutor where not given.

    Returns:
        The exit code: 0 after a signal or EndOfRun, 2 for a configuration error. Other exceptions pass through.
    """
    signals = _Signals()
    rclpy.init(args=[sys.argv[0], *(sys.argv[1:] if args is None else args)], signal_handler_options=SignalHandlerOptions.NO)
    node = None
    try:
        node = factory()
        signals.executor = (executor or SingleThreadedExecutor)()
        signals.executor.add_node(node)
        _spin(signals)
    except (_Stop, EndOfRun, ExternalShutdownException):
        return 0
    except ValueError as error:
        if node is not None:
            raise
        print(f"configuration error: {error}", file=sys.stderr, flush=True)
        return CONFIGURATION_ERROR
    finally:
        _close(node, signals.executor)
    return 0


def _spin(signals: _Signals) -> None:
    while not signals.received and signals.executor is not None and signals.executor.context.ok():
        signals.executor.spin_once(timeout_sec=0.2)


def _close(node: Node | None, executor: Executor | None) -> None:
    """Destroys the node before the context, so that it can still publish its last words in `destroy_node`."""
    if node is not None:
        node.destroy_node()
    if executor is not None:
        executor.shutdown(timeout_sec=0.2)
    rclpy.try_shutdown()
