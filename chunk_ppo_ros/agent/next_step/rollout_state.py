"""Decides when the policy samples a chunk, when it sends a bootstrap value, and when it holds.

This is a pure state machine without ROS, JAX, clock or sensors. policy_node reports the messages of the topics to it
and takes the step that it returns. It is strictly on-policy: accepted transitions and chunks in flight together are
never more than one update needs.
"""

from __future__ import annotations

from chunk_ppo_ros.agent.next_step.announced_version import AnnouncedVersion, Announcement
from chunk_ppo_ros.agent.next_step.episode_progress import EpisodeProgress, LastChunk
from chunk_ppo_ros.agent.next_step.human_segments import HumanSegments
from chunk_ppo_ros.agent.next_step.rollout_fill import RolloutFill
from chunk_ppo_ros.agent.next_step.rollout_steps import Bootstrap, EncodeSegment, Hold, SampleChunk, Step
from chunk_ppo_ros.core.stamps import FARTHEST_AHEAD
from chunk_ppo_ros.core.types import ChunkId


class RolloutState:
    """Collects the facts that decide the next step of the policy.

    Attributes:
        segments: the segments that a human drove in the running episode.
        weights: the version that the trainer announces; whoever loads its weights reports it there.
    """

    def __init__(self) -> None:
        self.segments = HumanSegments()
        self.weights = AnnouncedVersion()
        self._human_drives = False
        self._active = False
        self._robot_is_active = True  # until robot_node says something else
        self._next_sequence_number = 0
        self._fill = RolloutFill()
        self._episode = EpisodeProgress()
        self._last: LastChunk | None = None
        self._newer_than = 0

    def activate(self) -> None:
        """Lets the policy act from now on.

        It goes on where it is, because the facts are reported while it is inactive too: it awaits the outcome of its
        newest chunk, and sends the bootstrap that is due.
        """
        self._active = True

    def deactivate(self) -> None:
        """Makes the policy hold until it is activated."""
        self._active = False

    def note_clock(self, now: int) -> None:
        """Records the ROS time, ns, where it is that of a real clock.

        What is known to have happened later than now was stamped by a clock that was set back since. The policy would
        otherwise wait until the clock is there again.
        """
        if self._newer_than > now + FARTHEST_AHEAD:
            self._newer_than = now
        self.segments.note_clock(now)

    def robot_changed(self, *, active: bool) -> None:
        """Records whether robot_node is active. Chunks would be refused while it is not, so none is sampled."""
        self._robot_is_active = active

    def referee_restarted(self) -> None:
        """Records that reward_node was started anew, so that the chunks of earlier episodes make no transition."""
        self._fill.keep_episode(self._episode.number)

    # The methods below report facts about weights.

    def announce(self, announcement: Announcement) -> None:
        """Records the version that the trainer announces. Its weights must be loaded before the policy acts.

        An announcement that is repeated comes from a restarted trainer.
        """
        if self.weights.run_id != announcement.run_id:
            self._last = None
            self._next_sequence_number = 0
        if self.weights.announce(announcement):
            self._fill.clear()
        self._fill.set_counts(num_accepted=announcement.num_accepted, num_required=announcement.num_required)
        self._next_sequence_number = max(self._next_sequence_number, announcement.next_sequence_number)

    # The methods below report facts about episodes.

    def episode_reset(self, episode: int, *, prompt: str) -> None:
        """Records that the scene is being reset. A chunk that still awaits its outcome or bootstrap is forgotten.

        Args:
            episode: the number of the episode.
            prompt: the task of the episode in words.
        """
        if self._last is not None:
            self._fill.remove(self._last.id.sequence_number)
        self._last = None
        self.segments.clear()
        self._episode = EpisodeProgress(episode, prompt)

    def episode_started(self, episode: int, *, prompt: str, stamp: int) -> None:
        """Lets the policy act on observations that are newer than the stamp (ns of ROS time)."""
        if episode != self._episode.number:
            self.episode_reset(episode, prompt=prompt)
        self._episode.is_running = True
        self._episode.is_paused = False
        self._newer_than = max(self._newer_than, stamp)

    def episode_paused(self, episode: int, *, prompt: str, paused: bool, stamp: int) -> None:
        """Records that the episode is paused or goes on.

        An episode that goes on needs observations that are newer than the stamp (ns of ROS time).
        """
        if episode != self._episode.number:
            self.episode_reset(episode, prompt=prompt)
        self._episode.is_running = True
        self._episode.is_paused = paused
        if not paused:
            self._newer_than = max(self._newer_than, stamp)

    def episode_ended(self, episode: int, *, discarded: bool = False, truncated: bool = False) -> None:
        """Records that the episode is over. After a time limit the value of the last observation must still be sent."""
        self._episode.is_running = False
        self.segments.clear()
        if discarded:
            self._fill.remove_episode(episode)
        if truncated and not discarded and self._last is not None:
            self._last.owes_bootstrap = True
        elif discarded or (self._last is not None and not self._last.owes_bootstrap):
            self._last = None

    # The methods below report facts about chunks.

    def driver_changed(self, *, human: bool, stamp: int) -> None:
        """Records who drives since `stamp` (ns of ROS time), as robot_node says.

        A change of driver ends a segment of the trace. The value of the observation after the segment must then be
        sent, and the numbering of chunks gets a gap. So rewards that the human earned are not credited to the policy's
        last chunk.
        """
        if human == self._human_drives:
            return
        self._human_drives = human
        self._newer_than = max(self._newer_than, stamp)
        self._episode.next_chunk += 1
        if self._last is not None:
            self._last.owes_bootstrap = True

    def chunk_sent(self, step: SampleChunk | EncodeSegment) -> None:
        """Records that the chunk of a step is published."""
        human_driven = isinstance(step, EncodeSegment)
        if human_driven:
            self.segments.drop_oldest()
        self._fill.add(step.chunk)
        self._last = LastChunk(step.chunk, step.policy_version, step.prompt, human_driven)
        self._episode.next_chunk += 1
        self._next_sequence_number = step.chunk.sequence_number + 1

    def bootstrap_sent(self, step: Bootstrap) -> None:
        """Records that the value after a segment is published."""
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
        """Records how a chunk ended, as reward_node says.

        Args:
            sequence_number: the sequence number of the chunk.
            end: the ROS time of its end in ns. The next observation must be newer.
            num_steps: the number of its executed control steps.
            valid: whether the chunk makes a transition.
            terminated: whether the task ended with it.
            truncated: whether the time limit ended the episode with it.
            cut_by_takeover: whether a human took over before its last step.
        """
        if not valid:
            self._fill.remove(sequence_number)
        if self._last is None or self._last.id.sequence_number != sequence_number:
            return
        self._newer_than = max(self._newer_than, end)
        self._last.outcome_known = True
        self._episode.num_steps += 0 if self._last.human_driven else num_steps  # A human's steps do not count.
        if valid and (terminated or truncated):
            self._episode.is_running = False
        if not valid or terminated:
            self._last = None
        elif truncated or cut_by_takeover:
            self._last.owes_bootstrap = True

    def acknowledged(
        self, sequence_number: int, *, version: int, num_accepted: int, num_required: int, retry: bool
    ) -> None:
        """Records that trainer_node acknowledged a transition.

        Args:
            sequence_number: the sequence number of the chunk.
            version: the policy version that the counts belong to.
            num_accepted: the number of transitions of this version that the trainer holds.
            num_required: the number of transitions that make an update.
            retry: whether the transition must be sent again, so that its chunk stays in flight. The counts mean nothing
                then, because a trainer that has not loaded its run does not know them.
        """
        if retry:
            return
        self._fill.remove(sequence_number)
        if self.weights.is_version(version):
            self._fill.set_counts(num_accepted=num_accepted, num_required=num_required)

    # The members below report the state and decide the next step.

    @property
    def is_human_driven(self) -> bool:
        """Whether a human drives now."""
        return self._human_drives

    @property
    def awaited_chunk(self) -> ChunkId | None:
        """The chunk that is being executed, or None."""
        return self._last.id if self._last is not None and not self._last.outcome_known else None

    @property
    def num_steps(self) -> int:
        """The number of executed control steps of the episode."""
        return self._episode.num_steps

    def next_step(self) -> Step:
        """Returns the step to take now."""
        if not self._active:
            return Hold("policy_node is not active")
        announced = self.weights.loaded_announcement()
        if isinstance(announced, Hold):
            return announced
        last = self._last
        if last is not None and not last.outcome_known:
            return Hold("a chunk is being executed")
        segment_ends = last is not None and (last.owes_bootstrap or self._fill.is_full)
        if last is not None and segment_ends and last.policy_version == announced.version:
            return Bootstrap(last.id, last.policy_version, self._newer_than, last.prompt)
        return self._next_chunk_step(announced)

    def _next_chunk_step(self, announced: Announcement) -> Step:
        episode = self._episode.number if self._episode.is_running else None
        segment = self.segments.next if self._episode.is_running else None
        obstacle = "" if segment else self._obstacle_to_sampling(announced)
        if obstacle:
            return Hold(obstacle)
        if episode is None:
            return Hold("waiting for an episode to start")
        if announced.only_episode not in (None, episode):
            return Hold(f"waiting for deployment_node to announce which policy acts in episode {episode}")
        chunk = ChunkId(announced.run_id, self._next_sequence_number, episode, self._episode.next_chunk)
        if segment is not None:
            return EncodeSegment(chunk, announced.version, segment, self._episode.prompt)
        if self._episode.is_paused:
            return Hold("the episode is paused")
        return SampleChunk(chunk, announced.version, self._newer_than, self._episode.prompt)

    def _obstacle_to_sampling(self, announced: Announcement) -> str:
        """Returns why the policy may not sample in a running episode. The text is empty if it may."""
        if self._human_drives:
            return "a human drives"
        if not self._robot_is_active:
            return "robot_node is not active"
        if self.segments.has_open:
            return "waiting for robot_node to report the targets that the human commanded"
        if self._fill.is_full:
            return f"the rollout of version {announced.version} is full; waiting for trainer_node's next version"
        return ""
