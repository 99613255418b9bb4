"""The executor that spins the nodes."""

from __future__ import annotations

from rclpy.executors import Executor, SingleThreadedExecutor


def make_step_executor() -> Executor:
    """Returns an executor for thousands of small messages a second. All callbacks run in the thread that spins it.

    It is rclpy's EventsExecutor, which spends a fraction of SingleThreadedExecutor's processor time on a message. Older
    releases of rclpy, as in some releases of Jazzy, lack it. There it is SingleThreadedExecutor, which is only slower.
    """
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()
