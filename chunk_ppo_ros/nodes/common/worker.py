"""Runs slow work in one thread, and hands the results back to the thread that spins the node.

In a node that loads JAX, this thread is the only one that uses it. Callbacks convert, store, submit and return.
"""

from __future__ import annotations

import collections
import dataclasses
import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar

ResultT = TypeVar("ResultT")


@dataclasses.dataclass(frozen=True)
class Succeeded(Generic[ResultT]):
    """The outcome of a job that ended well.

    Attributes:
        value: the value that the job returned.
    """

    value: ResultT

    def result(self) -> ResultT:
        """Returns the value of the job."""
        return self.value


@dataclasses.dataclass(frozen=True)
class Failed:
    """The outcome of a job that an exception ended.

    Attributes:
        error: the exception.
    """

    error: Exception

    def result(self) -> NoReturn:
        """Raises the exception that ended the job."""
        raise self.error


Outcome: TypeAlias = Succeeded[ResultT] | Failed
"""The outcome of a job, whose `result()` returns its value or raises its exception."""
_Then = Callable[[Outcome[Any]], None]


class Worker:
    """Runs jobs in order, one at a time.

    The thread is a daemon, so a process that ends does not wait for a job, however long it compiles. A job therefore
    writes a file that must stay whole under a temporary name and renames it.

    Args:
        name: the name of the thread.
        wake: is called from the worker's thread when an outcome waits for `deliver`.
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
        """The number of submitted jobs whose outcomes are not delivered yet."""
        return self._num_open

    def submit(self, job: Callable[[], ResultT], then: Callable[[Outcome[ResultT]], None]) -> None:
        """Queues a job. `then` gets its outcome in the thread that calls `deliver`.

        Raises:
            RuntimeError: after `close`.
        """
        if self._closed:
            raise RuntimeError("jobs must be submitted before the worker is closed")
        self._num_open += 1
        self._jobs.put((job, then))

    def deliver(self) -> None:
        """Delivers the outcomes that wait, in the order of their jobs."""
        while self._results:
            then, outcome = self._results.popleft()
            self._num_open -= 1
            then(outcome)

    def close(self) -> None:
        """Stops taking jobs and calling `wake`. It returns at once, even while a job runs."""
        with self._lock:
            self._closed = True
        self._jobs.put(None)

    def _run(self) -> None:
        while (entry := self._jobs.get()) is not None and not self._closed:
            job, then = entry
            try:
                outcome: Outcome[Any] = Succeeded(job())
            except Exception as error:  # The function `then` of the job decides what the error means.
                outcome = Failed(error)
            with self._lock:
                if self._closed:
                    return
                self._results.append((then, outcome))
                self._wake()
