"""Collects the facts by which the policy samples a chunk, sends a bootstrap value, or holds.

This is a pure state machine without ROS, JAX, clock or sensors. policy_node reports the messages of the topics to it
and takes the step that it returns, which `step_choice.py` chooses.
"""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.agent.next_step.announced_version import AnnouncedVersion, Announcement
from chunk_ppo_ros.agent.next_step.driver import Driver
from chunk_ppo_ros.agent.next_step.episode_progress import EpisodeProgress
from chunk_ppo_ros.agent.next_step.human_segments import HumanSegments
from chunk_ppo_ros.agent.next_step.rollout_fill import InFlight, RolloutFill
from chunk_ppo_ros.agent.next_step.rollout_progress import RolloutProgress
from chunk_ppo_ros.agent.next_step.rollout_steps import Bootstrap, EncodeSegment, Hold, SampleChunk, Step
from chunk_ppo_ros.agent.next_step.step_choice import StepFacts, choose_step
from chunk_ppo_ros.agent.next_step.stored_rollout import StoredRollout
from chunk_ppo_ros.core.stamps import FARTHEST_AHEAD
from chunk_ppo_ros.core.types import ChunkId


class RolloutState:
    """Collects the facts that decide the next step of the policy.

    Args:
        stored: what an earlier process of the same run has stored, from which this one goes on.

    Attributes:
        segments: the segments that a human drove in the running episode.
        weights: the version that the trainer announces; whoever loads its weights reports it there.
    """

    def __init__(self, stored: StoredRollout | None = None) -> None:
        stored = stored or StoredRollout()
        self._progress = stored.progress
        self.segments = HumanSegments(newest_over=stored.progress.stamp)
        for segment in stored.segments:
            self.segments.restore(segment.stamp, segment.readings)
        self.weights = AnnouncedVersion()
        self._driver = Driver(human=stored.progress.human_drives, known_until=stored.progress.stamp)
        self._fill = RolloutFill(stored.in_flight)
        self._active = False
        self._robot_is_active = True  # until robot_node says something else

    @property
    def fill(self) -> RolloutFill:
        """How many transitions of the announced version the trainer has, and how many chunks are on their way."""
        return self._fill

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
        if self._progress.newer_than > now + FARTHEST_AHEAD:
            self._progress = dataclasses.replace(self._progress, newer_than=now)
        self._driver.note_clock(now)
        self.segments.note_clock(now)

    def robot_changed(self, *, active: bool) -> None:
        """Records whether robot_node is active. Chunks would be refused while it is not, so none is sampled."""
        self._robot_is_active = active

    # The methods below report facts about weights.

    def announce(self, announcement: Announcement) -> None:
        """Records the version that the trainer announces. Its weights must be loaded before the policy acts.

        An announcement is repeated when its counts have changed, and by a restarted trainer.
        """
        if self._progress.run_id != announcement.run_id:
            episode = dataclasses.replace(self._progress.episode, is_over=False)
            self._progress = dataclasses.replace(
                self._progress, run_id=announcement.run_id, last=None, next_sequence_number=0, episode=episode
            )
            self._fill.clear()
        if self.weights.announce(announcement):
            self._fill.keep_version(announcement.version)
        self._fill.set_counts(num_accepted=announcement.num_accepted, num_required=announcement.num_required)
        number = max(self._progress.next_sequence_number, announcement.next_sequence_number)
        self._progress = dataclasses.replace(self._progress, next_sequence_number=number)

    # The methods below report facts about episodes.

    def episode_reset(self, episode: int, *, prompt: str) -> None:
        """Records that the scene is being reset. No value is sent any more after a chunk of an earlier episode.

        Such a chunk is still in flight until reward_node or trainer_node says what became of it.

        Args:
            episode: the number of the episode.
            prompt: the task of the episode in words.
        """
        self.segments.clear()
        self._driver.forget_refusal()
        self._progress = dataclasses.replace(self._progress, episode=EpisodeProgress(episode, prompt), last=None)

    def episode_started(self, episode: int, *, prompt: str, stamp: int) -> None:
        """Lets the policy act on observations that are newer than the stamp (ns of ROS time)."""
        self.episode_paused(episode, prompt=prompt, paused=False, stamp=stamp)

    def episode_paused(self, episode: int, *, prompt: str, paused: bool, stamp: int) -> None:
        """Records that the episode is paused or goes on.

        An episode that goes on needs observations that are newer than the stamp (ns of ROS time).
        """
        if episode != self._progress.episode.number:
            self.episode_reset(episode, prompt=prompt)
        self._progress = self._progress.in_episode(is_running=True, is_paused=paused)
        if not paused:
            self._progress = self._progress.newer(stamp)

    def episode_ended(
        self, episode: int, *, discarded: bool = False, truncated: bool = False, interrupted: bool = False
    ) -> None:
        """Records that the episode is over. After a time limit the value of the last observation must still be sent.

        Args:
            episode: the number of the episode.
            discarded: whether none of its chunks makes a transition.
            truncated: whether it ended by a time limit.
            interrupted: whether the robot or the simulator died, so that what the sensors show now does not count.
        """
        paused = self._progress.episode.is_paused
        self._progress = self._progress.in_episode(is_running=False, is_paused=paused)
        self.segments.clear()
        if discarded:
            self._fill.remove_episode(episode)
        last = self._progress.last
        if truncated and not discarded:
            self._progress = self._progress.owing_bootstrap()
        elif discarded or interrupted or (last is not None and not last.owes_bootstrap):
            self._progress = self._progress.without_last()

    # The methods below report facts about chunks.

    def driver_reported(self, *, human: bool, stamp: int, segment: int = 0) -> None:
        """Records who drives, as robot_node says.

        A change of driver ends a segment of the trace. The value of the observation after the segment must then be
        sent, and the numbering of chunks gets a gap. So rewards that the human earned are not credited to the policy's
        last chunk.

        Args:
            human: whether a human drives.
            stamp: the ROS time of the report, ns.
            segment: the stamp of the newest segment that a human drove, ns of ROS time; 0 if there is none.
        """
        num_changes = self._driver.report(human=human, stamp=stamp, segment=segment)
        if num_changes:
            self._progress = self._progress.newer(stamp).leaving_out(num_changes).owing_bootstrap()

    def refused_for_human(self, stamp: int) -> None:
        """Records that robot_node refused the chunk with this stamp (ns of ROS time) because a human drives."""
        self._driver.refused(stamp)

    def chunk_sent(self, step: SampleChunk | EncodeSegment, *, stamp: int = 0, max_steps: int = 0) -> None:
        """Records that a chunk is published; `RolloutProgress.after_chunk` describes the arguments."""
        if isinstance(step, EncodeSegment):
            self.segments.drop_oldest()
        self._fill.add(InFlight(step.chunk.sequence_number, step.chunk.episode, step.policy_version))
        self._progress = self._progress.after_chunk(step, stamp=stamp, max_steps=max_steps)

    def bootstrap_sent(self, step: Bootstrap) -> None:
        """Records that the value after a segment is published."""
        self._forget_last(step.chunk.sequence_number)

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
        """Records how a chunk ended, as reward_node says; `RolloutProgress.after_outcome` describes the arguments."""
        if not valid:
            self._fill.remove(sequence_number)
        last = self._progress.last
        if last is not None and last.id.sequence_number == sequence_number:
            self._progress = self._progress.after_outcome(
                end=end,
                num_steps=num_steps,
                valid=valid,
                terminated=terminated,
                truncated=truncated,
                cut_by_takeover=cut_by_takeover,
            )

    def settled(self, sequence_number: int) -> None:
        """Records that trainer_node has answered the transition of a chunk before, so that nothing is due after it."""
        self._fill.remove(sequence_number)
        self._forget_last(sequence_number)

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

    def _forget_last(self, sequence_number: int) -> None:
        last = self._progress.last
        if last is not None and last.id.sequence_number == sequence_number:
            self._progress = self._progress.without_last()

    # The members below report the state and decide the next step.

    @property
    def progress(self) -> RolloutProgress:
        """How far the policy has come. Its run is the announced one, or before that the one that was stored."""
        return dataclasses.replace(self._progress, human_drives=self._driver.is_human)

    @property
    def is_human_driven(self) -> bool:
        """Whether a human drives now."""
        return self._driver.is_human

    @property
    def awaited_chunk(self) -> ChunkId | None:
        """The chunk that is being executed, or None."""
        last = self._progress.last
        return last.id if last is not None and not last.outcome_known else None

    @property
    def may_move(self) -> bool:
        """Whether a chunk of the policy may be executed now, as far as is known here."""
        episode = self._progress.episode
        runs = episode.is_running and not episode.is_paused
        return self._active and runs and self._robot_is_active and not self._driver.is_human

    @property
    def num_steps(self) -> int:
        """The number of executed control steps of the episode."""
        return self._progress.episode.num_steps

    def next_step(self) -> Step:
        """Returns the step to take now."""
        if not self._active:
            return Hold("policy_node is not active")
        announced = self.weights.loaded_announcement()
        if isinstance(announced, Hold):
            return announced
        facts = StepFacts(
            announced=announced,
            progress=self._progress,
            fill=self._fill,
            segments=self.segments,
            driver=self._driver,
            robot_is_active=self._robot_is_active,
        )
        return choose_step(facts)
