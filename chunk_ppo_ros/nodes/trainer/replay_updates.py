"""The command `replay-updates` makes the updates of a run again from its stored transitions, and compares the weights.

It begins at the oldest checkpoint from which all transitions are still stored. Each later checkpoint that was kept must
have the same bits: parameters, optimizer, novelty and counters. Nothing is written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from chunk_ppo_msgs import msg
from rclpy.serialization import deserialize_message

from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.agent.run_start.learner_state import LearnerState, initial_state
from chunk_ppo_ros.agent.run_start.starting_checkpoint import OpenedCheckpoint
from chunk_ppo_ros.agent.stored_run.run_folders import STORES, RunFolders
from chunk_ppo_ros.config import RunConfig, TrainConfig
from chunk_ppo_ros.config.commands.runs import replay_updates_parser
from chunk_ppo_ros.core.consumption.chunk_ranges import ChunkKey
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.core_jax.tree_digest import tree_digest
from chunk_ppo_ros.data.journal_index import JournalIndex
from chunk_ppo_ros.data.rollout_journal import NAME
from chunk_ppo_ros.data.store import read_payload, read_store
from chunk_ppo_ros.model.checkpoints.checkpoint import METADATA, Checkpoint
from chunk_ppo_ros.model.checkpoints.step_folders import finished_checkpoints
from chunk_ppo_ros.nodes.wire import conversions
from chunk_ppo_ros.reporting.progress import progress_bar
from chunk_ppo_ros.runtime.processors import num_processors

DIGITS = 16
"""The number of digits of the digest that are printed."""


class ReplayError(UserError):
    """The updates of a run cannot be made again."""


@dataclasses.dataclass(frozen=True)
class Replay:
    """What came out when updates were made again. `str` gives one line for people.

    Attributes:
        run_id: the run.
        first: the first version that was made again.
        last: the last version that was made again, which is the first one that differs where one does.
        num_chunks: the number of transitions that were trained on.
        digest: the digest of the state of the last version, as it was made again.
        is_equal: whether all checkpoints are equal to the bit.
        num_processors: the number of processors of the run's updates, and of this process.
    """

    run_id: str
    first: int
    last: int
    num_chunks: int
    digest: str
    is_equal: bool
    num_processors: tuple[int, int]

    def __str__(self) -> str:
        is_one = self.first == self.last
        versions = f"version {self.last}" if is_one else f"versions {self.first} to {self.last}"
        made = f"{versions} of {self.run_id}, made again from {count_of(self.num_chunks, 'transition')}"
        have = "has" if is_one else "have"
        if self.is_equal:
            return f"replay-updates: {made}, {have} equal weights (sha256 {self.digest[:DIGITS]})"
        before, now = self.num_processors
        used = count_of(before, "processor")
        why = f"; the run used {used}, this process {now}: use as many" if before != now else ""
        return f"replay-updates: {made}, {have} other weights at version {self.last}{why}"


class StoredRun:
    """The checkpoints of a run that were kept, and its stored transitions.

    Args:
        run: the folders of the run.

    Raises:
        CheckpointError: when the run has no checkpoint, or one is damaged.
        OSError: when the journal cannot be read.
    """

    def __init__(self, run: RunFolders) -> None:
        self.checkpoints = [Checkpoint.open(folder) for folder in finished_checkpoints(run.checkpoint_folder)]
        if not self.checkpoints:
            raise ReplayError(
                f"a run must have a checkpoint, got none in {run.checkpoint_folder}; name the folder of "
                "the run's checkpoints by --checkpoints"
            )
        newest = self.checkpoints[-1]
        self.run_id = newest.require_metadata().counters.run_id
        self.updates = newest.load_consumed().updates
        self._index = JournalIndex.of(read_store(run.folder / STORES / NAME, check_payloads=False), self.run_id)

    def first_checkpoint(self) -> int:
        """Returns the place of the oldest checkpoint from which all updates can be made again.

        Raises:
            ReplayError: when not even the last update can.
        """
        versions = [checkpoint.policy_version for checkpoint in self.checkpoints]
        missing = {version: self._missing(version) for version in range(versions[0] + 1, versions[-1] + 1)}
        last_gap = max((version for version in missing if missing[version]), default=versions[0])
        place = next((place for place, version in enumerate(versions) if version >= last_gap), len(versions) - 1)
        if place == len(versions) - 1:
            why = missing[last_gap] if last_gap > versions[0] else "it has one checkpoint (run.keep_checkpoints)"
            raise ReplayError(f"no update of {self.run_id} can be made again: {why}")
        return place

    def config(self, checkpoint: Checkpoint) -> TrainConfig:
        """Returns the configuration that made a checkpoint, for a learner that saves none of its versions."""
        settings = checkpoint.require_metadata().settings
        config = settings.over(TrainConfig(), file=checkpoint.root / METADATA)
        return dataclasses.replace(
            config,
            ppo=dataclasses.replace(config.ppo, undo_from="memory"),
            run=dataclasses.replace(config.run, resume=True),
        )

    def transitions(self, version: int) -> list[Transition]:
        """Returns the transitions of the update that made a version, in the order in which it took them."""
        return [self._transition(key) for key in self.updates[version].chunks]

    def _transition(self, key: ChunkKey) -> Transition:
        message = deserialize_message(read_payload(self._index.places[key]), msg.Transition)
        return conversions.transition_from_message(message)

    def _missing(self, version: int) -> str:
        """Returns why an update cannot be made again, or an empty string where it can."""
        if version not in self.updates:
            return f"an earlier release made version {version} and did not say which transitions it took"
        missing = [key for key in self.updates[version].chunks if key not in self._index.places]
        if not missing:
            return ""
        which = f"of version {version} {'is' if len(missing) == 1 else 'are'} not stored"
        return f"{count_of(len(missing), 'transition')} {which}, as {missing[0][0]} {missing[0][1]}"


def replay(run: RunFolders) -> Replay:
    """Makes the updates of a run again, and compares the result with each checkpoint that was kept.

    Args:
        run: the folders of the run.

    Raises:
        UserError: when the updates cannot be made again.
    """
    stored = StoredRun(run)
    place = stored.first_checkpoint()
    start = stored.checkpoints[place]
    learner, num_chunks = _learner(stored, start, stored.checkpoints[place + 1]), 0
    for before, after in zip(stored.checkpoints[place:], stored.checkpoints[place + 1 :], strict=False):
        if before is not start and _settings_of_updates(stored, before) != _settings_of_updates(stored, after):
            learner = _learner(stored, before, after)
        for version in range(before.policy_version + 1, after.policy_version + 1):
            transitions = stored.transitions(version)
            with progress_bar(f"update of version {version}", unit="minibatch", compiles=not num_chunks) as bar:
                learner.update(transitions, progress=bar.set)
            num_chunks += len(transitions)
        digest = tree_digest(learner.state)
        kept = _state(stored, after, after)
        is_equal = digest == tree_digest(kept.arrays) and learner.counters == kept.counters
        if not is_equal or after is stored.checkpoints[-1]:
            processors = stored.updates[after.policy_version].num_processors, num_processors()
            versions = start.policy_version + 1, after.policy_version
            return Replay(stored.run_id, *versions, num_chunks, digest, is_equal, processors)
    raise AssertionError("a run has a checkpoint after its first")


def _learner(stored: StoredRun, checkpoint: Checkpoint, following: Checkpoint) -> Learner:
    """Returns a learner that goes on from a checkpoint with the settings that made the following one."""
    return Learner(stored.config(following), _state(stored, checkpoint, following))


def _state(stored: StoredRun, checkpoint: Checkpoint, following: Checkpoint) -> LearnerState:
    return initial_state(stored.config(following), OpenedCheckpoint(checkpoint))


def _settings_of_updates(stored: StoredRun, checkpoint: Checkpoint) -> TrainConfig:
    """Returns the configuration of a checkpoint without what only says how long a run lasts and where its files are."""
    config = stored.config(checkpoint)
    ppo = dataclasses.replace(config.ppo, total_timesteps=1)
    return dataclasses.replace(config, ppo=ppo, run=RunConfig(seed=config.run.seed))


def main(arguments: Sequence[str]) -> int:
    """Runs `replay-updates RUN`, which prints one line. The exit status is 1 where weights differ."""
    given = replay_updates_parser().parse_args(arguments)
    try:
        result = replay(RunFolders.find(given.run, checkpoints=given.checkpoint_folder))
    except OSError as error:
        raise UserError(f"what {given.run} has stored cannot be read: {error}") from error
    print(result)
    return 0 if result.is_equal else 1
