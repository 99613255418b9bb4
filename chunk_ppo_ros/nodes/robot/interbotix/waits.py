"""Things that the preparation of an arm waits for, none of which blocks: the answer of a service, and joint states."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from rclpy.client import Client
from rclpy.task import Future

ANSWER_TIMEOUT = 10.0
"""The seconds without an answer after which a service is asked again. A reboot of one motor takes about a second."""


PATIENCE = 2.0
"""The seconds after which what has not come is named."""

PREPARING = "its driver is being prepared"
"""The reason before that."""


class Wait(Protocol):
    """Something that is waited for."""

    @property
    def reason(self) -> str:
        """What is waited for, as a sentence for the operator."""

    def is_over(self, now: float) -> bool:
        """Returns whether it has come. It is asked again and again.

        Args:
            now: the steady time, s.
        """


class ServiceCall:
    """One call of a service. It is sent when the service is there, and sent again where no answer comes.

    Args:
        client: the client of the service.
        request: the request.
    """

    def __init__(self, client: Client, request: Any) -> None:
        self._client = client
        self._request = request
        self._future: Future | None = None
        self._is_there = False
        self._sent_at = 0.0
        self._waited = 0.0
        self._asked_at = self._answered_at = 0.0

    @property
    def reason(self) -> str:
        """Whether the service is missing, or is late with its answer."""
        if not self._is_there:
            return f"the service {self._client.srv_name} is not there yet; check that the driver of the arm runs"
        if self._waited < PATIENCE:
            return PREPARING
        return f"the service {self._client.srv_name} has not answered yet; check the log of the arm's driver"

    @property
    def answer(self) -> Any:
        """The response, once the call is over."""
        return None if self._future is None else self._future.result()

    @property
    def took(self) -> float:
        """The time between the request and its answer, s, once the call is over."""
        return self._answered_at - self._asked_at

    def is_over(self, now: float) -> bool:
        """Returns whether the answer has come. Sends the request first where it was not sent."""
        if self._future is None:
            self._is_there = self._client.service_is_ready()
            if self._is_there:
                self._future, self._sent_at = self._client.call_async(self._request), now
                self._asked_at = time.monotonic()
                self._future.add_done_callback(self._note_answer)
            return False
        self._waited = now - self._sent_at
        if self._future.done():
            return True
        if self._waited > ANSWER_TIMEOUT:
            self.cancel()
        return False

    def _note_answer(self, future: Future) -> None:
        self._answered_at = time.monotonic()

    def cancel(self) -> None:
        """Forgets the answer that is waited for. A late one is not used."""
        if self._future is not None:
            self._client.remove_pending_request(self._future)
            self._future = None


class CountReached:
    """Waits until a count that only grows has grown by some number.

    Args:
        count: returns the count.
        growth: the number.
        missing: what is missing where the count does not grow, as a sentence for the operator.
    """

    def __init__(self, count: Callable[[], int], *, growth: int, missing: str) -> None:
        self._count = count
        self._end = count() + growth
        self._missing = missing
        self._begun_at: float | None = None
        self._is_late = False

    @property
    def reason(self) -> str:
        """That the driver is being prepared, or what is missing."""
        return self._missing if self._is_late else PREPARING

    def is_over(self, now: float) -> bool:
        """Returns whether the count has grown."""
        self._begun_at = now if self._begun_at is None else self._begun_at
        self._is_late = now - self._begun_at >= PATIENCE
        return self._count() >= self._end
