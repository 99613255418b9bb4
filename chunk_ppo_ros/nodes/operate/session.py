"""Runs the node of an operator's screen in a thread of its own, so that the screen never waits for the graph."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from chunk_ppo_ros.config import OperateConfig
from chunk_ppo_ros.nodes.operate.desk import Desk
from chunk_ppo_ros.nodes.operate.link import OperatorLink
from chunk_ppo_ros.nodes.operate.picture import Board, Place

SPIN = 0.1
"""The longest wait for a message before the end of the session is looked for, s."""
LEAVING_TIME = 5.0
"""The longest time that the end of the session waits for the thread that listens, s."""
RANGES = {
    "LOCALHOST": "this machine only",
    "SUBNET": "machines of this subnet",
    "OFF": "nobody else",
    "": "as ROS says",
}


class Session:
    """A board that is kept up to date, and a desk that takes keys.

    Attributes:
        board: holds what is known.
        desk: takes keys and pedals. One thread alone may use it.
        failure: the error with which listening ended, or None while it goes on.
    """

    def __init__(self, board: Board, desk: Desk) -> None:
        self.board = board
        self.desk = desk
        self.failure: Exception | None = None
        self._pedals: list[str] = []

    def note_pedal(self, name: str) -> None:
        """Keeps the action of a pedal until the desk is ready for it. Any thread may call it."""
        self._pedals.append(name)

    def work(self) -> None:
        """Does what pedals asked for, and drops a question that nobody has answered. Call it a few times a second.

        Raises:
            Exception: that with which listening to the graph ended.
        """
        if self.failure is not None:
            raise self.failure
        while self._pedals:
            self.desk.press_pedal(self._pedals.pop(0), now=time.monotonic())
        self.desk.look(now=time.monotonic())


def place_of(namespace: str) -> Place:
    """Returns where nodes of this process look for the graph, as the environment says."""
    domain = int(os.environ.get("ROS_DOMAIN_ID") or 0)
    found = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
    return Place(domain, RANGES.get(found, found), namespace)


@contextlib.contextmanager
def open_session(
    config: OperateConfig, *, namespace: str, make_link: Callable[..., OperatorLink] = OperatorLink
) -> Iterator[Session]:
    """Yields a session, and ends it with the context. Nothing is printed, because the screen is the operator's.

    Args:
        config: names the topic and the buttons of the pedals.
        namespace: the namespace of the graph.
        make_link: makes the node.
    """
    rclpy.init(args=["--ros-args", "--disable-stdout-logs"], signal_handler_options=SignalHandlerOptions.NO)
    ended = threading.Event()
    board = Board(place_of(namespace))
    pressed: list[Callable[[str], None]] = []
    link = make_link(board, config, namespace=namespace, on_pedal=lambda name: pressed[0](name))
    session = Session(board, Desk(board, link))
    pressed.append(session.note_pedal)
    thread = threading.Thread(target=_listen, args=(link, session, ended), name="operate", daemon=True)
    thread.start()
    try:
        yield session
    finally:
        ended.set()
        thread.join(timeout=LEAVING_TIME)
        if not thread.is_alive():  # Otherwise the node is still in use. The thread ends with the process.
            link.destroy_node()
            rclpy.try_shutdown()


def _listen(link: OperatorLink, session: Session, ended: threading.Event) -> None:
    executor = SingleThreadedExecutor()
    executor.add_node(link)
    try:
        while not ended.is_set():
            executor.spin_once(timeout_sec=SPIN)
    except ExternalShutdownException:
        return
    except Exception as error:  # Whatever it is, the main thread raises it.
        session.failure = error
    finally:
        executor.remove_node(link)
        executor.shutdown(timeout_sec=1.0)
