"""Starts a node's process, spins the node, and ends the process cleanly.

A SIGINT, a SIGTERM or the end of its terminal ends it within a second with exit code 0 and no traceback. A
configuration error gives one line on stderr and exit code 2.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn

import rclpy
from rclpy.executors import Executor, ExternalShutdownException
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from chunk_ppo_ros.core.errors import CONFIGURATION_ERROR, RUNTIME_ERROR, UserError
from chunk_ppo_ros.core.own_parts import tracebacks
from chunk_ppo_ros.nodes.common.executors import make_step_executor
from chunk_ppo_ros.runtime import interrupts
from chunk_ppo_ros.runtime.restarts.readiness import tell_up
from chunk_ppo_ros.runtime.supervised import end_with_launch

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end a node. SIGHUP comes when its terminal closes, and does nothing where `nohup` started it."""
SPIN_PERIOD = 0.1
"""The seconds after which a waiting executor looks for a signal, because a signal does not interrupt a wait in ROS."""


class EndOfRun(Exception):
    """Ends the process of a node whose run is over, as that of trainer_node when training is finished.

    A node keeps it as its `failure`, or raises it in its constructor.

    Args:
        code: the exit code, 0 unless the user must be told something about the result.
    """

    def __init__(self, code: int = 0) -> None:
        super().__init__(code)
        self.code = code


class _Stop(BaseException):
    """Raised by the signal handler before the node spins. It is not an Exception, so that no node catches it."""


class _Signals:
    """Ends spinning, or the construction of the node, at the first stop signal.

    Python runs a signal handler only between two steps of the main thread, which may be compiling for minutes. A second
    thread therefore gets the signal through the wake-up descriptor and ends the process when `close_timeout` is over.
    """

    def __init__(self, close_timeout: float) -> None:
        self.received = False
        self.spinning = False
        self._close_timeout = close_timeout
        self._receiver, sender = socket.socketpair()
        sender.setblocking(False)
        signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        self._sender = sender  # The descriptor stays open as long as this object exists.
        for number in interrupts.without_nohup(STOP_SIGNALS):
            signal.signal(number, self._handle)
        threading.Thread(target=self._watch, name="stop-watch", daemon=True).start()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            return
        self.received = True
        if not self.spinning:
            raise _Stop

    def _watch(self) -> None:
        while self._receiver.recv(1)[0] not in STOP_SIGNALS:
            continue
        time.sleep(self._close_timeout)
        _leave(0)


def run_node(
    factory: Callable[[], Node],
    args: Sequence[str] | None = None,
    *,
    close_timeout: float = 0.9,
) -> NoReturn:
    """Runs one node until it is stopped, and ends the process. The main thread of a process of its own must call it.

    The process ends without the interpreter's own cleanup as soon as the node is closed. That cleanup may wait for
    seconds for a library's threads, aborts where a job of a worker is inside the compiler, and has ended in a
    segmentation fault of ROS's libraries. All files that matter are written and renamed before.

    The exit code is 0 after a signal, that of EndOfRun after it, 1 for a UserError while it runs, 2 for a configuration
    error. Other exceptions are shown with their traceback, and the exit code is 1.

    Args:
        factory: makes the node after ROS is initialized. A ValueError or UserError from it is a configuration error.
        args: the command line without the program's name. The default is sys.argv[1:].
        close_timeout: the seconds after a signal in which the node may end by itself. Work that takes longer, such as a
            compilation, is abandoned with the process.
    """
    signals = _Signals(close_timeout)
    command_line = [sys.argv[0], *(sys.argv[1:] if args is None else args)]
    node, executor, code = None, None, 0
    try:
        end_with_launch()
        rclpy.init(args=command_line, signal_handler_options=SignalHandlerOptions.NO)
        node = _construct(factory)
        executor = make_step_executor()
        executor.add_node(node)
        _spin(executor, signals, node)
    except EndOfRun as end:
        code = end.code
    except (_Stop, ExternalShutdownException):
        code = 0
    except UserError as error:
        code = _report("error", error, RUNTIME_ERROR)
    finally:
        signals.received = True  # From now on, a signal must not interrupt closing.
        _close(node, executor)
    _leave(code)


def _construct(factory: Callable[[], Node]) -> Node:
    """Returns the node. A signal, or a node that cannot be made, ends the process.

    A node whose constructor did not end cannot be closed, so that the process ends at once.
    """
    try:
        return factory()
    except _Stop:
        _leave(0)
    except EndOfRun as end:
        _leave(end.code)
    except (ValueError, UserError) as error:
        _leave(_report("configuration error", error, CONFIGURATION_ERROR))
    except Exception:  # It is a fault of the program. Whoever looks for it needs its traceback, and no other.
        traceback.print_exc()
        _leave(RUNTIME_ERROR)


def _spin(executor: Executor, signals: _Signals, node: Node) -> None:
    """Spins until a signal, or until the node has a failure.

    EventsExecutor logs an exception of a callback as a fatal error with a traceback. A node that keeps a UserError as
    its `failure` ends with one line, and one that keeps an EndOfRun ends with none. The supervisor learns that the node
    is up, which is when it spins, or when it says so by `is_ready`.
    """
    signals.spinning = True
    while not signals.received and executor.context.ok():
        executor.spin_once(timeout_sec=SPIN_PERIOD)
        if getattr(node, "is_ready", True):
            tell_up()
        failure = getattr(node, "failure", None)
        if failure is not None:
            raise failure


def _leave(code: int) -> NoReturn:
    """Ends the process without the interpreter's own cleanup."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _report(what: str, error: Exception, code: int) -> int:
    tracebacks.print_wanted(error)
    print(f"{what}: {error}", file=sys.stderr, flush=True)
    return code


def _close(node: Node | None, executor: Executor | None) -> None:
    """Destroys the node before the context, so that it can still publish and log in `destroy_node`."""
    if node is not None:
        node.destroy_node()
    if executor is not None:
        executor.shutdown(timeout_sec=0.2)
    rclpy.try_shutdown()
