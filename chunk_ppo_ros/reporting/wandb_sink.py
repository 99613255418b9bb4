"""Sends metrics to wandb without waiting for it, by a queue, a thread that empties it, and a process that runs wandb.

wandb starts services of its own, uses a network that may hang, and cleans up when Python exits. In a separate process
(`wandb_process.py`) this does not delay training, and the process can be ended when it takes too long.
"""

from __future__ import annotations

import json
import logging
import netrc
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlparse

from chunk_ppo_ros.core.distributions.histogram import Histogram
from chunk_ppo_ros.reporting.metric_table import Kind

HISTOGRAMS = "histograms"
"""The key of a line's histograms. Each has `edges` and `counts`, from which `wandb_process.py` makes wandb's own."""

FINISH_TIMEOUT = 3.0
"""The longest time that `close` waits for wandb, s."""

QUEUE_SIZE = 1000
"""The largest number of records that wait for wandb. Further records are dropped and counted."""

_log = logging.getLogger(__name__)


def start(run_dir: Path, *, run_id: str, config: Mapping[str, Any]) -> WandbSink | None:
    """Returns a sink in the mode of `wandb_mode`, which writes below `run_dir`; None where the mode is "disabled"."""
    mode = wandb_mode()
    if mode == "disabled":
        return None
    header = {"run_id": run_id, "name": run_dir.name, "config": dict(config)}
    command = [sys.executable, "-m", "chunk_ppo_ros.reporting.wandb_process", str(run_dir), str(FINISH_TIMEOUT)]
    return WandbSink(command, header, mode=mode, log_path=run_dir / "wandb.log")


def wandb_mode() -> str:
    """Returns WANDB_MODE where it is set, otherwise "online" if this machine has a login for wandb, else "offline".

    A login is WANDB_API_KEY or an entry of wandb's host in the netrc file. The network is not used for this.
    """
    if mode := os.environ.get("WANDB_MODE"):
        return mode
    return "online" if os.environ.get("WANDB_API_KEY") or _has_netrc_login() else "offline"


def _has_netrc_login() -> bool:
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    places = [Path(os.environ["NETRC"])] if "NETRC" in os.environ else [Path.home() / ".netrc", Path.home() / "_netrc"]
    for path in places:
        try:
            if path.exists() and host in netrc.netrc(path).hosts:
                return True
        except (OSError, netrc.NetrcParseError) as error:
            _log.warning("%s cannot be read, so wandb finds no login in it: %s", path, error)
    return False


class WandbSink:
    """Hands records to a process that runs wandb. A failure of that process is logged once and never raised.

    Args:
        command: command that starts the process. The process reads a header and then records, one JSON object in each
            line, until its input ends.
        header: run_id, name and config of the run.
        mode: WANDB_MODE of the process.
        log_path: file that takes the output of the process.
    """

    def __init__(self, command: list[str], header: Mapping[str, Any], *, mode: str, log_path: Path) -> None:
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue(QUEUE_SIZE)
        self._queue.put_nowait(dict(header))
        self._log_path = log_path
        self._num_dropped = 0
        self._failed = threading.Event()
        # The new process must find the same packages as this one, also from a source tree.
        environment = os.environ | {"WANDB_MODE": mode, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with log_path.open("ab") as log:
            # In a session of its own, Ctrl-C does not reach the process. It ends when its input ends.
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        self._thread = threading.Thread(target=self._feed, name="wandb", daemon=True)
        self._thread.start()

    def send(
        self, kind: Kind, record: Mapping[str, Any], histograms: Mapping[str, Histogram] = MappingProxyType({})
    ) -> None:
        """Queues a record. The record is dropped where the queue is full or wandb has failed."""
        if self._failed.is_set():
            return
        edges_and_counts = {
            name: {"edges": each.edges.tolist(), "counts": each.counts} for name, each in histograms.items()
        }
        try:
            self._queue.put_nowait({**record, **({HISTOGRAMS: edges_and_counts} if edges_and_counts else {})})
        except queue.Full:
            self._num_dropped += 1
            if self._num_dropped == 1:
                _log.warning("wandb is too slow, so it misses some records; metrics.jsonl has all of them")

    def close(self) -> None:
        """Waits at most `FINISH_TIMEOUT` seconds for wandb to finish, and then ends its process."""
        deadline = time.monotonic() + FINISH_TIMEOUT
        try:
            self._queue.put(None, timeout=FINISH_TIMEOUT / 2)
            if self.process.wait(max(0.0, deadline - time.monotonic())) and not self._failed.is_set():
                _log.warning("wandb failed, but training was not affected: see %s", self._log_path)
        except (queue.Full, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
            _log.warning("wandb did not finish in time; `wandb sync` uploads its files below %s", self._log_path.parent)
        if self._num_dropped:
            _log.warning("wandb missed %d records, which metrics.jsonl has", self._num_dropped)

    def _feed(self) -> None:
        """Writes queued records to the process until `close` queues the end or the process has ended."""
        if self.process.stdin is None:
            raise RuntimeError("the process must be started with a pipe for its input, got none")
        try:
            with self.process.stdin as stream:
                while (record := self._queue.get()) is not None:
                    stream.write(json.dumps(record).encode() + b"\n")
                    stream.flush()
        except OSError as error:
            self._failed.set()
            _log.warning("wandb stopped and training continues without it (%s): see %s", error, self._log_path)
