"""When the policy samples, when it bootstraps and when it holds: facts go in, the next step comes out.

This is a pure state machine without ROS, JAX, clock or sensors. policy_node feeds it what the topics say and does what
it decides. It is strictly on-policy: accepted transitions and chunks in flight together never exceed what one update
needs.
"""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.agent.human_segments import HumanSegments
from chunk_ppo_ros.agent.rollout_fill import RolloutFill
from chunk_ppo_ros.agent.rollout_steps import Bootstrap, EncodeSegment, Hold, Sample, Step
from chunk_ppo_ros.core.types import ChunkId


@dataclasses.dataclass(frozen=True)
class Announcement:
    """What trainer_node says about the version to act with.

    Attributes:
        run_id: the identity of the run.
        version: the number of the version.
        num_accepted: the number of transitions of this version that the trainer holds.
        num_required: the number of transitions that make an update.
        next_sequence_number: the lowest sequence number that is free.
        final: whether no update follows.
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
    human_driven: bool
    outcome_known: bool = False
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
        self._is_loaded = False
        self._load_failure = ""
        self._fill = RolloutFill()
        self._episode: int | None = None
        self._running = False
        self._paused = False
        self._next_chunk = 0
        self._num_steps = 0
        self._last: _LastChunk | None = None
        self._newer_than = 0

    def activate(self) -> None:
        """The policy may act.

        Chunks that were sent before are not waited for: whoever held them may have been restarted too.
        """
        self._active = True
        self._fill.clear()
        self._last = None

    def deactivate(self) -> None:
        """The policy holds until it is activated."""
        self._active = False

    # Weights.

    def announce(self, announcement: Announcement) -> None:
        """The trainer names a version to act with, which must be loaded first.

        An announcement that is repeated comes from a restarted trainer.
        """
        known = self._announced
        if known is None or known.run_id != announcement.run_id:
            self._last = None
            self._next_sequence_number = 0
        if known is None or (known.run_id, known.version) != (announcement.run_id, announcement.version):
            self._fill.clear()
            self._is_loaded = False
        self._announced = announcement
        self._load_failure = ""
        self._fill.set_counts(num_accepted=announcement.num_accepted, num_required=announcement.num_required)
        self._next_sequence_number = max(self._next_sequence_number, announcement.next_sequence_number)

    def loaded(self, version: int) -> None:
        """The weights of a version are in place. A version that is no longer announced is of no use."""
        if self._announced is not None and version == self._announced.version:
            self._is_loaded = True
            self._load_failure = ""

    def load_failed(self, reason: str) -> None:
        """The announced weights could not be loaded."""
        self._load_failure = reason

    # Episodes.

    def episode_reset(self, episode: int) -> None:
        """The scene is brought to the start. A chunk still unsettled can no longer be completed: it is forgotten."""
        if self._last is not None:
            self._fill.remove(self._last.id.sequence_number)
        self._last = None
        self.segments.clear()
        self._episode = episode
        self._next_chunk = 0
        self._num_steps = 0
        self._running = False
        self._paused = False

    def episode_started(self, episode: int, *, stamp: int) -> None:
        """The policy may act on observations that are newer than the stamp (ns of ROS time)."""
        if episode != self._episode:
            self.episode_reset(episode)
        self._running = True
        self._paused = False
        self._newer_than = max(self._newer_than, stamp)

    def episode_paused(self, episode: int, *, paused: bool, stamp: int) -> None:
        """The episode is paused, or goes on with observations that are newer than the stamp (ns of ROS time)."""
        if episode != self._episode:
            self.episode_reset(episode)
        self._running = True
        self._paused = paused
        if not paused:
            self._newer_than = max(self._newer_than, stamp)

    def episode_ended(self, episode: int, *, discarded: bool = False, truncated: bool = False) -> None:
        """The episode is over. After a time limit the value of the last observation is still to be sent."""
        self._running = False
        self.segments.clear()
        if discarded:
            self._fill.remove_episode(episode)
        if truncated and not discarded and self._last is not None:
            self._last.owes_bootstrap = True
        elif discarded or (self._last is not None and not self._last.owes_bootstrap):
            self._last = None

    # Chunks.

    def driver_changed(self, *, human: bool, stamp: int) -> None:
        """robot_node says who drives, since `stamp` (ns of ROS time).

        Where the driver changes a segment of the trace ends: the value after it is owed, and the numbers of chunks
        leave a gap, so that what the human does is no part of what the policy's last chunk is worth.
        """
        if human == self._human_drives:
            return
        self._human_drives = human
        self._newer_than = max(self._newer_than, stamp)
        self._next_chunk += 1
        if self._last is not None:
            self._last.owes_bootstrap = True

    def chunk_sent(self, step: Sample | EncodeSegment) -> None:
        """The chunk of a step is published."""
        human_driven = isinstance(step, EncodeSegment)
        if human_driven:
            self.segments.drop_oldest()
        self._fill.add(step.chunk)
        self._last = _LastChunk(step.chunk, step.policy_version, human_driven)
        self._next_chunk += 1
        self._next_sequence_number = step.chunk.sequence_number + 1

    def bootstrap_sent(self, step: Bootstrap) -> None:
        """The value after a segment is published."""
        if self._last is not None and self._last.id == step.chunk:
            self._last = None

    def chunk_ended(
        self,
        sequence_number: int,
        *,
        end: int,
        num_steps: int,
        valid: bool,
        terminated: bool,
        truncated: bool,
        cut_by_takeover: bool,
    ) -> None:
        """reward_node says how a chunk ended, after `num_steps` executed control steps.

        The next observation must be newer than `end` (ns of ROS time).
        """
        if not valid:
            self._fill.remove(sequence_number)
        if self._last is None or self._last.id.sequence_number != sequence_number:
            return
        self._newer_than = max(self._newer_than, end)
        self._last.outcome_known = True
        self._num_steps += 0 if self._last.human_driven else num_steps  # the time limit waits for a human
        if valid and (terminated or truncated):
            self._running = False
        if not valid or terminated:
            self._last = None
        elif truncated or cut_by_takeover:
            self._last.owes_bootstrap = True

    def acknowledged(
        self, sequence_number: int, *, version: int, num_accepted: int, num_required: int, retry: bool
    ) -> None:
        """trainer_node acknowledges a transition, and says how full the rollout of its version is."""
        if not retry:
            self._fill.remove(sequence_number)
        if self._announced is not None and version == self._announced.version:
            self._fill.set_counts(num_accepted=num_accepted, num_required=num_required)

    # The decision.

    @property
    def run_id(self) -> str | None:
        """The identity of the announced run, None before there is one."""
        return None if self._announced is None else self._announced.run_id

    @property
    def is_human_driven(self) -> bool:
        """Whether a human drives now."""
        return self._human_drives

    @property
    def awaited_chunk(self) -> ChunkId | None:
        """The chunk that is being executed, None when none is."""
        return self._last.id if self._last is not None and not self._last.outcome_known else None

    @property
    def num_steps(self) -> int:
        """The number of executed control steps of the episode."""
        return self._num_steps

    @property
    def is_loaded(self) -> bool:
        """Whether the announced version is loaded."""
        return self._is_loaded

    def next_step(self) -> Step:
        """Returns what to do now, given a fresh observation."""
        announced = self._loaded_announcement()
        if isinstance(announced, Hold):
            return announced
        last = self._last
        if last is not None and not last.outcome_known:
            return Hold("a chunk is being executed")
        segment_ends = last is not None and (last.owes_bootstrap or self._fill.is_full)
        if last is not None and segment_ends and last.policy_version == announced.version:
            return Bootstrap(last.id, last.policy_version, self._newer_than)
        return self._next_chunk_step(announced)

    def _loaded_announcement(self) -> Announcement | Hold:
        """Returns the announcement of the version that is loaded, else the step that waits for it."""
        if not self._active:
            return Hold("policy_node is not active")
        if self._announced is None:
            return Hold("waiting for trainer_node to announce a policy version")
        if self._announced.final:
            return Hold("training has reached its end")
        if self._load_failure:
            return Hold(f"policy version {self._announced.version} cannot be loaded: {self._load_failure}")
        if not self._is_loaded:
            return Hold(f"loading policy version {self._announced.version}")
        return self._announced

    def _next_chunk_step(self, announced: Announcement) -> Step:
        episode = self._episode if self._running else None
        segment = self.segments.next if self._running else None
        obstacle = "" if segment else self._obstacle_to_sampling(announced)
        if obstacle:
            return Hold(obstacle)
        if episode is None:
            return Hold("waiting for an episode to start")
        chunk = ChunkId(announced.run_id, self._next_sequence_number, episode, self._next_chunk)
        if segment is not None:
            return EncodeSegment(chunk, announced.version, segment)
        if self._paused:
            return Hold("the episode is paused")
        return Sample(chunk, announced.version, self._newer_than)

    def _obstacle_to_sampling(self, announced: Announcement) -> str:
        """Why nothing may be sampled even in a running episode; empty where nothing is in the way."""
        if self._human_drives:
            return "a human drives"
        if self.segments.has_open:
            return "waiting for robot_node to say what the human drove"
        if self._fill.is_full:
            return f"the rollout of version {announced.version} is full; waiting for trainer_node's next version"
        return ""
