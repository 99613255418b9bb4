"""When the policy samples, when it bootstraps and when it holds: facts go in, the next step comes out.

A pure state machine without ROS, JAX, clock or sensors; policy_node feeds it what the topics say and does what it
decides. Strictly on-policy: accepted transitions and chunks in flight together never exceed what one update needs.
"""

from __future__ import annotations

import dataclasses
import enum

from chunk_ppo_ros.agent.human_segments import HumanSegments
from chunk_ppo_ros.core.types import ChunkId


class Kind(enum.Enum):
    """What the policy does next."""

    SAMPLE = enum.auto()
    FOLLOW = enum.auto()
    BOOTSTRAP = enum.auto()
    HOLD = enum.auto()


@dataclasses.dataclass(frozen=True)
class Step:
    """The next step. Equal steps are the same step, which tells whether a result that took a while is still wanted.

    Attributes:
        kind: what to do.
        chunk: SAMPLE: the chunk to make. FOLLOW: the chunk to make of what a human drove. BOOTSTRAP: the chunk whose
            segment ended. None for HOLD.
        policy_version: the version that must do it; None for HOLD.
        fresh_after: the observation must be newer, ns of ROS time; 0 for HOLD and FOLLOW.
        segment: FOLLOW: stamp of what the human drove, ns of ROS time.
        reason: HOLD: why, in words.
    """

    kind: Kind
    chunk: ChunkId | None = None
    policy_version: int | None = None
    fresh_after: int = 0
    segment: int = 0
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Announcement:
    """What trainer_node says about the version to act with.

    Attributes:
        run_id: identity of the run.
        version: number of the version.
        num_accepted: transitions of this version that the trainer holds.
        num_required: transitions that make an update.
        next_sequence_number: lowest sequence number that is free.
        final: no update follows.
    """

    run_id: str
    version: int
    num_accepted: int
    num_required: int
    next_sequence_number: int = 0
    final: bool = False


@dataclasses.dataclass
class _LastChunk:
    """The newest chunk, until what follows it is settled."""

    id: ChunkId
    policy_version: int
    human: bool = False
    answered: bool = False
    owes_bootstrap: bool = False


class RolloutState:
    """The facts that decide the next step.

    Attributes:
        segments: what a human has driven in the running episode.
    """

    def __init__(self) -> None:
        self.segments = HumanSegments()
        self._human_drives = False
        self._active = False
        self._next_sequence_number = 0
        self._announced: Announcement | None = None
        self._loaded_version: int | None = None
        self._load_failure = ""
        self._num_accepted = 0
        self._num_required = 0
        self._in_flight: dict[int, int] = {}
        self._episode: int | None = None
        self._running = False
        self._paused = False
        self._next_chunk = 0
        self._num_steps = 0
        self._last: _LastChunk | None = None
        self._fresh_after = 0

    def activate(self) -> None:
        """May act. Chunks of the time before are not waited for: whoever held them may have been restarted too."""
        self._active = True
        self._in_flight.clear()
        self._last = None

    def deactivate(self) -> None:
        """Holds until activated."""
        self._active = False

    # Weights.

    def announce(self, announcement: Announcement) -> None:
        """A version to act with; it must be loaded before. A repetition comes from a restarted trainer."""
        known = self._announced
        if known is None or known.run_id != announcement.run_id:
            self._last = None
            self._next_sequence_number = 0
        if known is None or (known.run_id, known.version) != (announcement.run_id, announcement.version):
            self._in_flight.clear()
            self._loaded_version = None
        self._announced = announcement
        self._load_failure = ""
        self._num_accepted = announcement.num_accepted
        self._num_required = announcement.num_required
        self._next_sequence_number = max(self._next_sequence_number, announcement.next_sequence_number)

    def loaded(self, version: int) -> None:
        """The weights of a version are in place; one that is no longer announced is of no use."""
        if self._announced is not None and version == self._announced.version:
            self._loaded_version = version
            self._load_failure = ""

    def load_failed(self, reason: str) -> None:
        """The announced weights could not be loaded."""
        self._load_failure = reason

    # Episodes.

    def episode_reset(self, episode: int) -> None:
        """The scene is brought to the start. A chunk still unsettled can no longer be completed: it is forgotten."""
        if self._last is not None:
            self._in_flight.pop(self._last.id.sequence_number, None)
        self._last = None
        self.segments.clear()
        self._episode = episode
        self._next_chunk = 0
        self._num_steps = 0
        self._running = False
        self._paused = False

    def episode_started(self, episode: int, *, stamp: int) -> None:
        """The policy may act on observations newer than the stamp (ns of ROS time)."""
        if episode != self._episode:
            self.episode_reset(episode)
        self._running = True
        self._paused = False
        self._fresh_after = max(self._fresh_after, stamp)

    def episode_paused(self, episode: int, *, paused: bool, stamp: int) -> None:
        """Holds, or goes on with observations newer than the stamp (ns of ROS time)."""
        if episode != self._episode:
            self.episode_reset(episode)
        self._running = True
        self._paused = paused
        if not paused:
            self._fresh_after = max(self._fresh_after, stamp)

    def episode_ended(self, episode: int, *, discarded: bool = False, truncated: bool = False) -> None:
        """The episode is over; a time limit leaves the value of what follows to be told."""
        self._running = False
        self.segments.clear()
        if discarded:
            self._in_flight = {number: of for number, of in self._in_flight.items() if of != episode}
        if truncated and not discarded and self._last is not None:
            self._last.owes_bootstrap = True
        elif discarded or (self._last is not None and not self._last.owes_bootstrap):
            self._last = None

    # Chunks.

    def human_drives(self, human: bool, *, stamp: int) -> None:
        """robot_node says who drives, since `stamp` (ns of ROS time).

        Where the driver changes a segment of the trace ends: the value after it is owed, and the numbers of chunks
        leave a gap, so that what the human does is no part of what the policy's last chunk is worth.
        """
        if human == self._human_drives:
            return
        self._human_drives = human
        self._fresh_after = max(self._fresh_after, stamp)
        self._next_chunk += 1
        if self._last is not None:
            self._last.owes_bootstrap = True

    def followed(self, chunk: ChunkId) -> None:
        """A chunk is made of the human's oldest segment."""
        self.segments.done()
        self.sampled(chunk, human=True)

    def sampled(self, chunk: ChunkId, *, human: bool = False) -> None:
        """A chunk is on its way to the robot, or a human drove it."""
        assert self._loaded_version is not None
        self._in_flight[chunk.sequence_number] = chunk.episode
        self._last = _LastChunk(chunk, self._loaded_version, human)
        self._next_chunk += 1
        self._next_sequence_number = chunk.sequence_number + 1

    def bootstrapped(self, chunk: ChunkId) -> None:
        """The value after a segment is told."""
        if self._last is not None and self._last.id == chunk:
            self._last = None

    def outcome(
        self,
        sequence_number: int,
        *,
        end: int,
        num_steps: int,
        valid: bool,
        terminated: bool,
        truncated: bool,
        intervened: bool,
    ) -> None:
        """reward_node says how a chunk ended, after `num_steps` executed control steps.

        The next observation must be newer than `end` (ns of ROS time).
        """
        if not valid:
            self._in_flight.pop(sequence_number, None)
        if self._last is None or self._last.id.sequence_number != sequence_number:
            return
        self._fresh_after = max(self._fresh_after, end)
        self._last.answered = True
        self._num_steps += 0 if self._last.human else num_steps  # the time limit waits for a human
        if valid and (terminated or truncated):
            self._running = False
        if not valid or terminated:
            self._last = None
        elif truncated or intervened:
            self._last.owes_bootstrap = True

    def acknowledged(
        self, sequence_number: int, *, version: int, num_accepted: int, num_required: int, retry: bool
    ) -> None:
        """trainer_node answers a transition, and says how full the rollout of its version is."""
        if not retry:
            self._in_flight.pop(sequence_number, None)
        if self._announced is not None and version == self._announced.version:
            self._num_accepted = num_accepted
            self._num_required = num_required

    # The decision.

    @property
    def is_human_driven(self) -> bool:
        """Whether a human drives now."""
        return self._human_drives

    @property
    def awaited_chunk(self) -> ChunkId | None:
        """The chunk that is being executed, None when none is."""
        return self._last.id if self._last is not None and not self._last.answered else None

    @property
    def num_steps(self) -> int:
        """Executed control steps of the episode."""
        return self._num_steps

    @property
    def loaded_version(self) -> int | None:
        """The announced version once it is loaded, else None."""
        return self._loaded_version

    def next_step(self) -> Step:
        """What to do now, given a fresh observation."""
        obstacle = self._obstacle()
        if obstacle:
            return Step(Kind.HOLD, reason=obstacle)
        last = self._last
        segment_ends = last is not None and (last.owes_bootstrap or self._is_full())
        if last is not None and segment_ends and last.policy_version == self._loaded_version:
            return Step(Kind.BOOTSTRAP, last.id, last.policy_version, self._fresh_after)
        segment = self.segments.next if self._running else None
        obstacle = "" if segment else self._obstacle_to_sampling()
        if obstacle:
            return Step(Kind.HOLD, reason=obstacle)
        assert self._announced is not None and self._episode is not None
        chunk = ChunkId(self._announced.run_id, self._next_sequence_number, self._episode, self._next_chunk)
        if segment:
            return Step(Kind.FOLLOW, chunk, self._loaded_version, segment=segment.stamp)
        return Step(Kind.SAMPLE, chunk, self._loaded_version, self._fresh_after)

    def _obstacle(self) -> str:
        if not self._active:
            return "policy_node is not active"
        if self._announced is None:
            return "waiting for trainer_node to announce a policy version"
        if self._announced.final:
            return "training has reached its end"
        if self._load_failure:
            return f"policy version {self._announced.version} cannot be loaded: {self._load_failure}"
        if self._loaded_version is None:
            return f"loading policy version {self._announced.version}"
        if self.awaited_chunk is not None:
            return "a chunk is being executed"
        return ""

    def _obstacle_to_sampling(self) -> str:
        if self._human_drives:
            return "a human drives"
        if self.segments.one_is_open:
            return "waiting for robot_node to say what the human drove"
        if self._is_full():
            return f"the rollout of version {self._loaded_version} is full; waiting for trainer_node's next version"
        if not self._running:
            return "waiting for an episode to start"
        return "the episode is paused" if self._paused else ""

    def _is_full(self) -> bool:
        return self._num_accepted + len(self._in_flight) >= self._num_required
