"""Runs the listener, and keeps what it heard."""

from __future__ import annotations

import collections
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from chaos.heard import Heard
from chaos.supervised_graph import dies_with_this_process

ENDING_TIMEOUT = 10.0
"""The longest wait for the end of the listener, s. The trial is over then."""


class Witness:
    """The process of the listener, and all messages that it has heard.

    Args:
        environment: the variables of its process.
        errors: the file of what it writes to standard error.
    """

    def __init__(self, environment: Mapping[str, str], errors: Path) -> None:
        with errors.open("wb") as file:
            self._process = subprocess.Popen(
                [*dies_with_this_process(), sys.executable, "-m", "chaos.listener"],
                env=dict(environment),
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                start_new_session=True,
            )
        self.messages: list[Heard] = []
        self.executed: set[int] = set()  # the stamps of the chunks of which a step was executed
        self.newest: dict[str, float] = collections.defaultdict(float)  # the time of the newest message of each topic
        self.version = -1
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the listener still listens."""
        return self._process.poll() is None

    def wait_for(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Waits until a condition holds after a message, and returns whether it does."""
        with self._news:
            return self._news.wait_for(condition, timeout)

    def wait_for_topic(self, topic: str, timeout: float) -> bool:
        """Waits for the next message of a topic, and returns whether there was one."""
        since = time.time()
        return self.wait_for(lambda: self.newest[topic] > since, timeout)

    def close(self) -> None:
        """Ends the listener, by force where it does not end, and reads what it has told to the end."""
        self._process.terminate()
        try:
            self._process.wait(ENDING_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            heard = Heard.of_line(line)
            with self._news:
                self.messages.append(heard)
                self.newest[heard.topic] = heard.time
                if heard.topic == "execution_result" and heard.steps > 0:
                    self.executed.add(heard.stamp)
                if heard.topic == "policy_version":
                    self.version = heard.version
                self._news.notify_all()
