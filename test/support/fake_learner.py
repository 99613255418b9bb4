"""Has a learner that learns nothing, for the tests of trainer_node. It can also run as a process of its own."""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from pathlib import Path

import numpy as np

from chunk_ppo_ros.agent.offenders import Offender
from chunk_ppo_ros.core.consumption.consumed import NOTHING_CONSUMED
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.core.execution import ExecutionResult
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.types import ChunkId, ChunkOutcome, ModelObservation, RewardTerm, SampledChunk, Transition
from chunk_ppo_ros.model.checkpoints.consumed_file import read_consumed, write_consumed
from chunk_ppo_ros.model.checkpoints.metadata import Provenance
from chunk_ppo_ros.model.checkpoints.step_folders import step_folder


@dataclasses.dataclass(frozen=True)
class FakeCounters:
    run_id: str = "run"
    policy_version: int = 0
    num_chunks: int = 0
    num_steps: int = 0
    next_sequence_number: int = 0
    next_episode: int = 0


@dataclasses.dataclass(frozen=True)
class FakeCheckpoint:
    root: Path


class FakeLearner:
    """Keeps its counters in `checkpoints/step_<N>/counters`. Class attributes make it slow or make it fail."""

    update_errors: list[Exception] = []  # noqa: RUF012 - tests set it
    blamed: list[tuple[int, ...]] = []  # noqa: RUF012 - sequence numbers that each failed update is blamed on
    save_errors: list[Exception] = []  # noqa: RUF012
    update_time = 0.0  # s
    gate = threading.Event()  # An update ends only while it is set.
    gate.set()
    trained: list[list[int]] = []  # noqa: RUF012 - sequence numbers of each update

    def __init__(self, config, counters, consumed=NOTHING_CONSUMED):
        self._config = config
        self.counters = counters
        self._consumed = consumed
        self.provenance = Provenance("scratch")
        self.startup_messages = ("run run starts from nothing",)
        self.directory = Path(config.run.checkpoint_root)
        self.checkpoint = FakeCheckpoint(step_folder(self.directory, counters.policy_version))

    @classmethod
    def start(cls, config):
        if config.run.pretrained_checkpoint_path:
            raise CheckpointError("there is nothing to start from")
        if not config.run.resume:
            learner = cls(config, FakeCounters())
            learner.save()
            return learner
        newest = max(Path(config.run.checkpoint_root).iterdir(), key=lambda path: int(path.name.split("_")[1]))
        numbers = [int(number) for number in (newest / "counters").read_text().split()]
        return cls(config, FakeCounters("run", *numbers), read_consumed(newest))

    run_id = property(lambda self: self.counters.run_id)
    policy_version = property(lambda self: self.counters.policy_version)
    num_chunks = property(lambda self: self.counters.num_chunks)
    num_steps = property(lambda self: self.counters.num_steps)
    consumed = property(lambda self: self._consumed)
    finished = property(lambda self: self.num_steps >= self._config.ppo.total_timesteps)

    def warm_up(self):
        pass

    def check(self, transition):
        if transition.chunk.observation.state.shape != (14,):
            raise ValueError(f"state must have shape (14,), got {transition.chunk.observation.state.shape}")

    def offenders(self, error, transitions):
        blamed = FakeLearner.blamed.pop(0) if FakeLearner.blamed else ()
        return tuple(Offender(one.id, str(error)) for one in transitions if one.id.sequence_number in blamed)

    def update(self, transitions, *, progress=None):
        assert FakeLearner.gate.wait(5.0)
        if FakeLearner.update_errors:
            raise FakeLearner.update_errors.pop(0)
        time.sleep(FakeLearner.update_time)
        FakeLearner.trained.append([transition.id.sequence_number for transition in transitions])
        progress(1, 1)
        self.counters = dataclasses.replace(
            self.counters,
            policy_version=self.policy_version + 1,
            num_chunks=self.num_chunks + len(transitions),
            num_steps=self.num_steps + sum(transition.outcome.num_steps for transition in transitions),
            next_sequence_number=transitions[-1].id.sequence_number + 1,
        )
        self._consumed = self._consumed.after(self.policy_version, [transition.id.key for transition in transitions])
        return Metrics({"loss/policy": 0.25})

    def save(self):
        if FakeLearner.save_errors:
            raise FakeLearner.save_errors.pop(0)
        folder = step_folder(self.directory, self.policy_version)
        folder.mkdir(parents=True)
        _, *numbers = dataclasses.astuple(self.counters)
        (folder / "counters").write_text(" ".join(str(number) for number in numbers))
        write_consumed(folder, self.consumed)
        self.checkpoint = FakeCheckpoint(folder)
        return self.checkpoint


def make_transition(number, *, episode=0, version=0, run_id="run", state_dim=14):
    """Returns a transition of 16 executed steps."""
    observation = ModelObservation(
        images=np.full((3, 8, 8, 3), number % 256, np.uint8),
        image_mask=np.ones(3, bool),
        prompt_tokens=np.arange(5, dtype=np.int32),
        prompt_mask=np.ones(5, bool),
        state=np.zeros(state_dim, np.float32),
    )
    chunk = SampledChunk(
        observation=observation,
        action_tokens=np.arange(6, dtype=np.int32),
        token_mask=np.ones(6, bool),
        token_log_probs=np.full(6, -1.0, np.float32),
        value=0.5,
        actions=np.zeros((16, 14), np.float32),
        policy_version=version,
        temperature=1.0,
        num_steps_asked=16,
        entropy=0.5,
    )
    outcome = ChunkOutcome(
        reward=1.0,
        reward_terms=(RewardTerm("progress", 1.0),),
        execution=ExecutionResult.whole(16),
        terminated=False,
        truncated=False,
    )
    return Transition(ChunkId(run_id, number, episode, number), chunk, outcome, 0.5, None, 0.99)


def main(arguments):
    """Runs trainer_node with a learner whose updates take as long as the first argument says, s."""
    from chunk_ppo_ros.nodes.trainer import run_loader, trainer_node

    FakeLearner.update_time = float(arguments[0])
    run_loader.Learner = FakeLearner
    return trainer_node.main(arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
