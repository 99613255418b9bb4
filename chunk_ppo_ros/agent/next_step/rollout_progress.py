"""Holds how far the policy has come, which policy_node stores with each chunk."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.agent.next_step.episode_progress import EpisodeProgress, LastChunk
from chunk_ppo_ros.agent.next_step.rollout_steps import EncodeSegment, SampleChunk


@dataclasses.dataclass(frozen=True)
class RolloutProgress:
    """How far the policy has come.

    Attributes:
        run_id: the identity of the run, or empty before the first one.
        next_sequence_number: the number of the next chunk in the run.
        human_drives: whether a human drives.
        newer_than: the next observation must be newer than this ROS time in ns.
        stamp: the stamp of the newest chunk, ns of ROS time, or 0 before the first one.
        episode: the episode of the newest event.
        max_steps: the greatest number of control steps that may be executed of the newest chunk.
        last: the newest chunk, while its outcome is not known or a value may be due after it.
    """

    run_id: str = ""
    next_sequence_number: int = 0
    human_drives: bool = False
    newer_than: int = 0
    stamp: int = 0
    max_steps: int = 0
    episode: EpisodeProgress = dataclasses.field(default_factory=EpisodeProgress)
    last: LastChunk | None = None

    def newer(self, stamp: int) -> RolloutProgress:
        """Returns the progress where the next observation must be newer than a stamp too, ns of ROS time."""
        return dataclasses.replace(self, newer_than=max(self.newer_than, stamp))

    def in_episode(self, *, is_running: bool, is_paused: bool = False) -> RolloutProgress:
        """Returns the progress where the episode runs or not, and is paused or not. One that is over does not run."""
        runs = is_running and not self.episode.is_over
        episode = dataclasses.replace(self.episode, is_running=runs, is_paused=is_paused)
        return dataclasses.replace(self, episode=episode)

    def owing_bootstrap(self) -> RolloutProgress:
        """Returns the progress where the value after the newest chunk must be sent, if there is such a chunk."""
        last = None if self.last is None else dataclasses.replace(self.last, owes_bootstrap=True)
        return dataclasses.replace(self, last=last)

    def leaving_out(self, num_chunks: int) -> RolloutProgress:
        """Returns the progress where the numbering within the episode leaves out some numbers."""
        episode = dataclasses.replace(self.episode, next_chunk=self.episode.next_chunk + num_chunks)
        return dataclasses.replace(self, episode=episode)

    def after_chunk(self, step: SampleChunk | EncodeSegment, *, stamp: int, max_steps: int) -> RolloutProgress:
        """Returns the progress that is reached when the chunk of a step is published.

        Args:
            step: the step.
            stamp: the stamp of the chunk, ns of ROS time.
            max_steps: the greatest number of control steps that may be executed of it.
        """
        last = LastChunk(step.chunk, step.policy_version, step.prompt, isinstance(step, EncodeSegment))
        return dataclasses.replace(
            self.leaving_out(1),
            next_sequence_number=step.chunk.sequence_number + 1,
            stamp=stamp,
            max_steps=max_steps,
            last=last,
        )

    def after_outcome(
        self, *, end: int, num_steps: int, valid: bool, terminated: bool, truncated: bool, cut_by_takeover: bool
    ) -> RolloutProgress:
        """Returns the progress when the outcome of the newest chunk is known. An outcome may come again.

        Args:
            end: the ROS time of its end in ns. The next observation must be newer.
            num_steps: the number of its executed control steps. Those of a human do not count.
            valid: whether the chunk makes a transition.
            terminated: whether the task ended with it.
            truncated: whether the time limit ended the episode with it.
            cut_by_takeover: whether a human took over before its last step.
        """
        progress, last = self.newer(end), self.last
        if last is None:
            return self
        if not last.outcome_known:
            num_steps = self.episode.num_steps + (0 if last.human_driven else num_steps)
            is_over = valid and (terminated or truncated)
            episode = dataclasses.replace(self.episode, num_steps=num_steps, is_over=self.episode.is_over or is_over)
            episode = dataclasses.replace(episode, is_running=episode.is_running and not is_over)
            progress = dataclasses.replace(progress, episode=episode)
        owes = last.owes_bootstrap or truncated or cut_by_takeover
        known = dataclasses.replace(last, outcome_known=True, owes_bootstrap=owes)
        return dataclasses.replace(progress, last=None if not valid or terminated else known)

    def without_last(self) -> RolloutProgress:
        """Returns the progress when nothing is due after the newest chunk."""
        return dataclasses.replace(self, last=None)
