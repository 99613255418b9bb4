"""Kills the intake of trainer_node before each of its system calls, and lets it go on. It runs as a process.

It prints one JSON object for each instant: what was acknowledged, what was trained on, and the weights at the end. Its
learner is a hash: weights are equal only where the same updates took the same transitions in the same order.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import queue
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from chunk_ppo_msgs import msg
from rclpy.serialization import serialize_message

from chunk_ppo_ros.core.consumption.consumed import NOTHING_CONSUMED
from chunk_ppo_ros.core.consumption.number_window import NumberWindow
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.data.rollout_journal import RolloutJournal
from chunk_ppo_ros.model.checkpoints import atomic_folder
from chunk_ppo_ros.model.checkpoints.consumed_file import read_consumed, write_consumed
from chunk_ppo_ros.model.checkpoints.step_folders import (
    newest_checkpoint,
    remove_old_checkpoints,
    remove_unfinished,
    step_folder,
)
from chunk_ppo_ros.nodes.trainer.acknowledgment import Acknowledgment
from chunk_ppo_ros.nodes.trainer.intake.checks import IntakeChecks
from chunk_ppo_ros.nodes.trainer.training_run import TrainingRun
from chunk_ppo_ros.nodes.wire import conversions
from support.fake_learner import make_transition

NUM_REQUIRED, NUM_VERSIONS = 2, 2
CALLS = ("open", "write", "writev", "fdatasync", "fsync", "rename", "replace", "unlink", "mkdir", "rmdir", "ftruncate")
"""The functions of `os` before each call of which the process is killed."""
ACK = msg.TransitionAck


class HashLearner:
    """Has a hash of all transitions that it was trained on in the place of weights."""

    def __init__(self, folder: Path) -> None:
        self.run_id, self.finished, self.num_chunks, self.num_steps = "run", False, 0, 0
        self.directory = folder / "checkpoints"
        newest = newest_checkpoint(self.directory)
        if newest is None:
            self.policy_version, self.consumed, self.weights = 0, NOTHING_CONSUMED, "fresh"
            self.save()
        else:
            self.policy_version = int(newest.name.removeprefix("step_"))
            self.consumed, self.weights = read_consumed(newest), (newest / "weights").read_text()
            remove_unfinished(self.directory)

    @property
    def counters(self) -> Counters:
        return Counters("run", self.policy_version)

    @property
    def checkpoint(self) -> Any:
        return SimpleNamespace(root=step_folder(self.directory, self.policy_version))

    def check(self, transition: object) -> None:
        pass

    def update(self, transitions: list[Any]) -> None:
        numbers = [one.id.key for one in transitions]
        self.weights = hashlib.sha256(f"{self.weights} {numbers}".encode()).hexdigest()
        self.policy_version += 1
        self.consumed = self.consumed.after(self.policy_version, numbers)

    def save(self) -> None:
        def write(folder: Path) -> None:
            (folder / "weights").write_text(self.weights)
            write_consumed(folder, self.consumed)
            (folder / "metadata.json").write_text("{}")

        folder = atomic_folder.write_atomically(step_folder(self.directory, self.policy_version), write)
        remove_old_checkpoints(self.directory, keep=2, in_use=folder)


class Logger:
    def info(self, text: str) -> None:
        pass

    error = info


def messages(version: int) -> Iterator[msg.Transition]:
    """Returns what a reward_node sends while a version acts. The last one is late: it is of the version before."""
    first = version * NUM_REQUIRED
    for number in range(first, first + NUM_REQUIRED):
        yield conversions.transition_to_message(make_transition(number, version=version))
    if version:
        yield conversions.transition_to_message(make_transition(1000 + version, version=version - 1))


def live(folder: Path, settled: set[int], report: Callable[[int], None]) -> None:
    """Trains until the last version. Transitions that are settled are not sent, and all others until they are.

    Args:
        folder: the folder of the run.
        settled: the numbers of the transitions that were acknowledged in earlier lives.
        report: is called with the number of each transition that is acknowledged.
    """
    journal = RolloutJournal(folder / "store" / "journal", segment_bytes=5_000)
    journal.open()
    learner: Any = HashLearner(folder)
    journal.begin_run("run", learner.consumed)
    calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    checks = IntakeChecks(NumberWindow(largest_jump=10_000))
    run = TrainingRun(learner, NUM_REQUIRED, journal, lambda key, raw, reason, then: then(None), calls.put, checks)
    logger: Any = Logger()
    run.begin_rollout(logger)
    while learner.policy_version < NUM_VERSIONS:
        for message in messages(learner.policy_version):
            number = message.chunk.sequence_number
            if number not in settled:
                deliver(run, message, calls)
                report(number)
                settled.add(number)
        assert run.buffer.is_complete, f"version {learner.policy_version} waits for what was acknowledged"
        learner.update(run.buffer.transitions)
        learner.save()
        run.begin_rollout(logger)
        journal.remove_oldest(max_bytes=20_000)
    journal.close()


def deliver(run: TrainingRun, message: msg.Transition, calls: queue.SimpleQueue[Callable[[], None]]) -> None:
    """Sends a transition until its answer is final."""
    answers: list[Acknowledgment] = []
    run.intake.take(run.buffer, serialize_message(message), message, answers.append)
    while not answers:
        calls.get(timeout=30.0)()
    assert answers[0].status != ACK.RETRY


def kill_at(instant: int) -> None:
    """Makes this process die at an instant, which is the number of the call before which it dies."""
    count = itertools.count()

    def watched(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **named: Any) -> Any:
            if next(count) == instant:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return wrapper

    for name in CALLS:
        setattr(os, name, watched(getattr(os, name)))


def life(folder: Path, settled: set[int], instant: int | None) -> tuple[int, set[int]]:
    """Lets the trainer live in a process, until an instant or its end. Returns its exit status and what is settled."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            tell = os.write
            os.fsync = os.fdatasync = lambda descriptor: None  # What a killed process wrote stays, synced or not.
            if instant is not None:
                kill_at(instant)
            live(folder, set(settled), lambda number: tell(writing, b"%d\n" % number) and None)
            status = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as lines:
        acknowledged = {int(line) for line in lines}
    _, status = os.waitpid(child, 0)
    return status, settled | acknowledged


def main(folder: Path, stride: int) -> None:
    """Prints what came out for one in `stride` instants, the last of which is after the end."""
    for instant in itertools.count(0, stride):
        shutil.rmtree(folder, ignore_errors=True)
        status, settled = life(folder, set(), instant)
        was_killed = os.WIFSIGNALED(status)
        if was_killed:
            status, settled = life(folder, settled, None)
        newest = newest_checkpoint(folder / "checkpoints")
        assert newest is not None
        updates = read_consumed(newest).updates
        trained = [[number for _, number in updates[version].chunks] for version in sorted(updates)]
        result = {"status": status, "settled": sorted(settled), "trained": trained}
        print(json.dumps(result | {"weights": (newest / "weights").read_text()}), flush=True)
        if not was_killed:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
