"""Chooses when the policy samples a chunk, when it sends a bootstrap value, and when it holds.

It is strictly on-policy: accepted transitions and chunks in flight together are never more than one update needs.
"""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.agent.next_step.announced_version import Announcement
from chunk_ppo_ros.agent.next_step.driver import Driver
from chunk_ppo_ros.agent.next_step.human_segments import HumanSegments
from chunk_ppo_ros.agent.next_step.rollout_fill import RolloutFill
from chunk_ppo_ros.agent.next_step.rollout_progress import RolloutProgress
from chunk_ppo_ros.agent.next_step.rollout_steps import Bootstrap, EncodeSegment, Hold, SampleChunk, Step
from chunk_ppo_ros.core.types import ChunkId


@dataclasses.dataclass(frozen=True)
class StepFacts:
    """What decides the next step of a policy that is active and has loaded the announced version.

    Attributes:
        announced: what the trainer announces.
        progress: how far the policy has come.
        fill: how much of the rollout is accepted or in flight.
        segments: the segments that a human drove.
        driver: who drives.
        robot_is_active: whether robot_node executes chunks.
    """

    announced: Announcement
    progress: RolloutProgress
    fill: RolloutFill
    segments: HumanSegments
    driver: Driver
    robot_is_active: bool


def choose_step(facts: StepFacts) -> Step:
    """Returns the step to take now."""
    last, version = facts.progress.last, facts.announced.version
    if last is not None and not last.outcome_known:
        return Hold("a chunk is being executed")
    segment_ends = last is not None and (last.owes_bootstrap or facts.fill.is_full)
    if last is not None and segment_ends and last.policy_version == version:
        return Bootstrap(last.id, last.policy_version, facts.progress.newer_than, last.prompt)
    return _next_chunk_step(facts)


def _next_chunk_step(facts: StepFacts) -> Step:
    announced, progress, known = facts.announced, facts.progress, facts.progress.episode
    episode = known.number if known.is_running else None
    segment = facts.segments.next if known.is_running else None
    obstacle = "" if segment else _obstacle_to_sampling(facts)
    if obstacle:
        return Hold(obstacle)
    if episode is None:
        return Hold("waiting for an episode to start")
    if announced.only_episode not in (None, episode):
        return Hold(f"waiting for deployment_node to announce which policy acts in episode {episode}")
    chunk = ChunkId(announced.run_id, progress.next_sequence_number, episode, known.next_chunk)
    if segment is not None:
        return EncodeSegment(chunk, announced.version, segment, known.prompt)
    if known.is_paused:
        return Hold("the episode is paused")
    return SampleChunk(chunk, announced.version, progress.newer_than, known.prompt)


def _obstacle_to_sampling(facts: StepFacts) -> str:
    """Returns why the policy may not sample in a running episode. The text is empty if it may."""
    if facts.driver.is_human:
        return "a human drives"
    if facts.driver.is_taking_over:
        return "a human takes over"
    if not facts.robot_is_active:
        return "robot_node is not active"
    if facts.segments.has_open:
        return "waiting for robot_node to report the targets that the human commanded"
    if facts.fill.is_full:
        return f"the rollout of version {facts.announced.version} is full; waiting for trainer_node's next version"
    return ""
