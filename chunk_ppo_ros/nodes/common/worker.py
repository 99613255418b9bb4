"""One thread that does what takes long, and hands the results back to the thread that spins the node.

In a node that loads JAX, this thread is the only one that touches it. Callbacks convert, store, submit and return.
"""

from __future__ import annotations

import collections
import dataclasses
import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

ResultT = TypeVar("ResultT")


@dataclasses.dataclass(frozen=True)
class Outcome(Generic[ResultT]):
    """What a job came to: its result, or the exception that ended it."""

    _result: ResultT | None = None
    error: Exception | None = None

    def result(self) -> ResultT:
        """The job's result.

        Raises:
            Exception: the one that ended the job.
        """
        if self.error is not None:
            raise self.error
        return self._result  # type: ignore[return-value]


_Then = Callable[[Outcome[Any]], None]


class Worker:
    """Runs jobs in order, one at a time.

    The thread is a daemon: a process that ends does not wait for a job, however long it compiles. Jobs therefore write
    what must survive to temporary files and rename them.

    Args:
        name: name of the thread.
        wake: called from the worker's thread when a result waits for `deliver`; triggers a guard condition.
    """

    def __init__(self, *, name: str, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], _Then] | None] = queue.SimpleQueue()
        self._results: collections.deque[tuple[_Then, Outcome[Any]]] = collections.deque()
        self._num_open = 0
        self._closed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def num_open(self) -> int:
        """Jobs submitted whose results are not delivered yet."""
        return self._num_open

    def submit(self, job: Callable[[], ResultT], then: Callable[[Outcome[ResultT]], None]) -> None:
        """Queues a job; `then` gets its outcome in the thread that calls `deliver`.

        Raises:
            RuntimeError: after `close`.
        """
        if self._closed:
            raise RuntimeError("jobs must be submitted before the worker is closed")
        self._num_open += 1
        self._jobs.put((job, then))

    def deliver(self) -> None:
        """Hands out the results that are there, in order."""
        while self._results:
            then, outcome = self._results.popleft()
            self._num_open -= 1
            then(outcome)

    def close(self) -> None:
        """Takes no more jobs and never wakes again; returns at once, even while a job runs."""
        with self._lock:
            self._closed = True
        self._jobs.put(None)

    def _run(self) -> None:
        while (entry := self._jobs.get()) is not None and not self._closed:
            job, then = entry
            try:
                outcome: Outcome[Any] = Outcome(job())
            except Exception as error:  # handed on whole: whoever submitted the job decides what it means
                outcome = Outcome(error=error)
            with self._lock:
                if self._closed:
                    return
                self._results.append((then, outcome))
                self._wake()
