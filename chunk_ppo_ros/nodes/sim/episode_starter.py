"""Calls the service start_episode after a reset, until reward_node agrees. It never blocks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from chunk_ppo_ros.nodes.wire import services

RETRY_PERIOD = 0.25  # s
ANSWER_TIMEOUT = 2.0  # s


class EpisodeStarter:
    """The client of the service start_episode.

    Args:
        node: the node that asks.
        is_robot_ready: returns whether the robot can move. The service is not called before.
    """

    def __init__(self, node: Node, *, is_robot_ready: Callable[[], bool] = lambda: True) -> None:
        self._is_robot_ready = is_robot_ready
        self._logger = node.get_logger()
        self._client = services.START_EPISODE.create_client(node)
        self._wanted = False
        self._future: Future[Any] | None = None
        self._sent = 0.0
        self._logged = ""
        node.create_timer(RETRY_PERIOD, self._try, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def waits_for(self) -> str:
        """What the start of the episode waits for, or an empty string where nothing is to be started."""
        if not self._wanted:
            return ""
        return self._missing() or "reward_node, which is asked to start the episode"

    def request(self) -> None:
        """Asks for the start, because the scene is ready, and asks again until reward_node agrees."""
        self._abandon()
        self._wanted = True
        self._try()

    def cancel(self) -> None:
        """Stops asking."""
        self._abandon()
        self._wanted = False

    def _try(self) -> None:
        if not self._wanted:
            return
        if self._future is not None:
            if time.monotonic() - self._sent < ANSWER_TIMEOUT:
                return
            self._log(f"start_episode has not answered for {ANSWER_TIMEOUT} s; asking again")
            self._abandon()
        if missing := self._missing():
            self._log(f"waiting for {missing}")
            return
        self._sent = time.monotonic()
        self._future = self._client.call_async(Trigger.Request())
        self._future.add_done_callback(self._on_answer)

    def _missing(self) -> str:
        """Returns why the service cannot be called yet, or an empty string."""
        if not self._is_robot_ready():
            return "robot_node, which prepares the drivers of the arms"
        return "" if self._client.service_is_ready() else "the service start_episode of reward_node"

    def _on_answer(self, future: Future[Any]) -> None:
        if future is not self._future:
            return
        self._future = None
        response = future.result()
        if response is not None and response.success:
            self._wanted = False
            self._logged = ""
        else:
            self._log(f"start_episode was refused: {'no response' if response is None else response.message}")

    def _abandon(self) -> None:
        if self._future is not None:
            self._client.remove_pending_request(self._future)
            self._future = None

    def _log(self, text: str) -> None:
        """Logs a change of the state of the request once."""
        if text != self._logged:
            self._logged = text
            self._logger.info(text)
