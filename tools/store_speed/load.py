"""Runs `make load-store`: four senders fill the journal of a real trainer_node, and every transition is looked for.

The senders together send 100 transitions a second, each with three images of 224x224, over ROS on one machine. A
transition is lost where the journal does not have it at the end, whether or not trainer_node has acknowledged it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

import numpy as np
from chunk_ppo_msgs import msg
from rclpy.serialization import deserialize_message

from chunk_ppo_ros.config.parameter_file import write_parameter_file
from chunk_ppo_ros.data.store import RecordPlace, read_payload, read_store
from chunk_ppo_ros.nodes.wire import conversions
from chunk_ppo_ros.runtime.ros_domain import claim_domain, keep_to_this_machine
from store_speed.folders import made_folder
from store_speed.load_settings import SENDERS, images_of, load_config
from store_speed.sender_report import SenderReport

TOOLS = pathlib.Path(__file__).parents[1]
_START_TIMEOUT = 300.0  # s, for the first checkpoint and the loading of ROS
_END_TIMEOUT = 60.0  # s


@dataclasses.dataclass(frozen=True)
class Loaded:
    """The result of a load.

    Attributes:
        num_sent: the number of transitions of all senders.
        num_stored: how many different ones the journal has.
        num_wrong: how many of those have other images than were sent.
        reports: what the senders say.
    """

    num_sent: int
    num_stored: int
    num_wrong: int
    reports: tuple[SenderReport, ...]

    @property
    def num_accepted(self) -> int:
        """The number of transitions that trainer_node has acknowledged."""
        return sum(report.accepted for report in self.reports)

    @property
    def passed(self) -> bool:
        """Whether every transition was acknowledged and is stored as it was sent."""
        return self.num_accepted == self.num_stored == self.num_sent and not self.num_wrong

    def __str__(self) -> str:
        """Returns one line with the counts and times."""
        delays = sorted(delay for report in self.reports for delay in report.delays) or [float("nan")]
        return (
            f"sent={self.num_sent} accepted={self.num_accepted} stored={self.num_stored} "
            f"lost={self.num_sent - self.num_stored} wrong={self.num_wrong} "
            f"refused={sum(len(report.refused) for report in self.reports)} "
            f"resent={sum(report.resent for report in self.reports)} "
            f"ack_ms_median={1e3 * statistics.median(delays):.0f} "
            f"ack_ms_p99={1e3 * delays[int(0.99 * (len(delays) - 1))]:.0f} "
            f"late_s={max(report.late for report in self.reports):.2f}"
        )


def load(folder: pathlib.Path, *, count: int, rate: float) -> Loaded:
    """Runs trainer_node and the senders to their ends, and returns the result.

    Args:
        folder: an empty folder for the run.
        count: the number of transitions of each sender.
        rate: how many of them a sender sends a second.
    """
    total = count * len(SENDERS)
    parameters = folder / "parameters.yaml"
    write_parameter_file(load_config(folder, total), parameters)
    with claim_domain() as domain:
        keep_to_this_machine()
        paths = os.pathsep.join([str(TOOLS), *filter(None, sys.path)])
        environment = {**os.environ, "PYTHONPATH": paths, "ROS_DOMAIN_ID": str(domain)}
        trainer = _start("load_trainer", "--ros-args", "--params-file", str(parameters), environment=environment)
        settings = [str(value) for value in (count, rate, folder, total, _START_TIMEOUT + 3 * count / rate)]
        senders = [_start("load_sender", sender, *settings, environment=environment) for sender in SENDERS]
        try:
            reports = [SenderReport(**json.loads(sender.communicate()[0].splitlines()[-1])) for sender in senders]
        finally:
            trainer.send_signal(signal.SIGINT)
            trainer.communicate(timeout=_END_TIMEOUT)
    stored, wrong = _stored(folder / "runs", count)
    return Loaded(total, len(stored), wrong, tuple(reports))


def _start(module: str, *arguments: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"store_speed.{module}", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def _stored(runs: pathlib.Path, count: int) -> tuple[set[tuple[str, int]], int]:
    """Returns the transitions in the journal, and how many of them have other images than those that were sent."""
    [folder] = runs.glob("*/store/journal")
    stored: set[tuple[str, int]] = set()
    wrong = 0
    for place in read_store(folder).records:
        key = place.key.sender, place.key.number
        if place.length and key[0] in SENDERS and key[1] < count:
            stored.add(key)
            wrong += not _is_right(place)
    return stored, wrong


def _is_right(place: RecordPlace) -> bool:
    transition = conversions.transition_from_message(deserialize_message(read_payload(place), msg.Transition))
    images = transition.chunk.observation.images
    expected = images_of(place.key.sender, place.key.number, images.shape)
    right_id = transition.id.key == (place.key.sender, place.key.number)
    return right_id and np.array_equal(images, expected)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the load, prints one line, and returns 1 where a transition was lost, refused or changed."""
    parser = argparse.ArgumentParser(prog="load-store", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="how long the senders send")
    parser.add_argument("--rate", type=float, default=100.0, help="transitions a second of all senders together")
    parser.add_argument("--folder", type=made_folder, help="folder on the disk to load; else that of temporary files")
    options = parser.parse_args(arguments)
    rate = options.rate / len(SENDERS)
    # trainer_node writes the page of its run in a process of its own, which may end last.
    with tempfile.TemporaryDirectory(dir=options.folder, ignore_cleanup_errors=True) as folder:
        loaded = load(pathlib.Path(folder), count=int(options.seconds * rate), rate=rate)
    print("\n  ".join([f"{loaded}", *[text for report in loaded.reports for text in report.refused][:5]]))
    return 0 if loaded.passed else 1


if __name__ == "__main__":
    sys.exit(main())
