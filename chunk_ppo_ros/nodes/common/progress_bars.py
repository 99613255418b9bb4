"""Progress bars of the rollout and of the update, on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from chunk_ppo_ros.reporting.progress import ProgressBar, progress_bar


class OnMinibatch(Protocol):
    """The callable that an update calls after each minibatch."""

    def __call__(self, done: int, total: int) -> None:
        """Shows that `done` of at most `total` minibatches are done."""


class RolloutBar:
    """Shows how full the rollout is between the calls of `open` and `close`."""

    def __init__(self) -> None:
        self._bar: ProgressBar | None = None

    def open(self, *, version: int, num_accepted: int, num_required: int) -> None:
        """Shows a new rollout in place of the one before."""
        self.close()
        what = f"version {version} rollout"
        self._bar = ProgressBar(what, unit="chunk", total=num_required, initial=num_accepted)

    def update(self) -> None:
        """Shows one more chunk."""
        if self._bar is not None:
            self._bar.update()

    def close(self) -> None:
        """Removes the bar, so that a line of the log can follow."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@contextmanager
def update_bar(version: int) -> Iterator[OnMinibatch]:
    """Shows the progress of an update. It yields the function that the update calls after each minibatch."""
    with progress_bar(f"version {version} update", unit="minibatch") as bar:
        yield bar.set
