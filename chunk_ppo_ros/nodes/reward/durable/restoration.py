"""Says how far the run has come, and lets a new process go on from there."""

from __future__ import annotations

import time
from collections.abc import Mapping

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.config.episode import OPERATOR
from chunk_ppo_ros.nodes.reward.durable.history import History
from chunk_ppo_ros.nodes.reward.episode_director import EpisodeDirector
from chunk_ppo_ros.nodes.reward.outcome_publisher import chunk_of
from chunk_ppo_ros.nodes.reward.run_records import RunRecords
from chunk_ppo_ros.nodes.reward.transition_outbox import TransitionOutbox
from chunk_ppo_ros.nodes.wire import conversions
from chunk_ppo_ros.rewards.bookkeeping.episode_progress import Progress
from chunk_ppo_ros.rewards.episodes import PASSING, RESTART, Phase

LOOK = "look at the robot, and let the episode go on by the service pause with data: false"
"""What an operator does where a node was started anew beside a robot."""


REPEATING_TIME = 10.0
"""The time after a start within which policy_node sends the running chunk again, s of the steady clock."""


def progress_of(
    records: RunRecords, director: EpisodeDirector, peers: Mapping[str, str], *, has_unseen_peers: bool = False
) -> Progress | None:
    """Returns how far the present run has come, or None where there is no run.

    Args:
        records: the records of the run.
        director: directs its episodes.
        peers: which processes have robot and scene.
        has_unseen_peers: whether one of them was known to an earlier reward_node alone. Where that one was stopped, a
            third one that finds other processes must learn that nobody died.
    """
    if not records.run_id:
        return None
    episodes = records.episodes
    num_faults, num_refusals = director.failures
    return Progress(
        run_id=records.run_id,
        standing=episodes.standing,
        holds={reason: text for reason, text in episodes.holds.items() if reason not in PASSING},
        started=director.started,
        mark=records.mark,
        closing=records.closing,
        last=records.last,
        num_faults=num_faults,
        num_refusals=num_refusals,
        interrupted=records.interrupted,
        stopped=records.stopped,
        is_stopped=records.is_stopping or (records.was_stopped and has_unseen_peers),
        discarded=records.discarded,
        running_when_robot_died=records.running_when_robot_died,
        feedback=records.join.feedback,
        peers=peers,
    )


def restore_chunks(history: History, records: RunRecords, director: EpisodeDirector, outbox: TransitionOutbox) -> None:
    """Takes the chunks and the counts that an earlier process has stored into the records of the run."""
    progress = history.progress
    if progress is None:
        return
    outbox.restore(history.transitions)
    for outcome in history.waiting:
        records.assembler.add_outcome(chunk_of(outcome), conversions.outcome_from_message(outcome))
    records.interrupted, records.discarded = progress.interrupted, progress.discarded
    records.stopped = progress.stopped
    records.running_when_robot_died = progress.running_when_robot_died
    director.restore(progress)
    for reason, text in progress.holds.items():
        records.episodes.hold(reason, text)


def go_on(progress: Progress, records: RunRecords, director: EpisodeDirector, *, is_real: bool) -> bool:
    """Goes on with the episode that ran when an earlier process died. Returns whether one ran.

    Beside a robot it is paused, because nobody knows what happened meanwhile.

    Args:
        progress: how far the run had come.
        records: the records of the run, with its chunks.
        director: directs its episodes.
        is_real: whether there is a robot.
    """
    if progress.standing.phase is not Phase.RUNNING:
        return False
    if is_real:
        records.episodes.hold(RESTART, f"reward_node was started anew; {LOOK}")
    changes = records.episodes.go_on(progress.standing, "reward_node was started anew, and the episode goes on")
    now = time.monotonic()
    records.mark, records.closing, records.closing_since = progress.mark, progress.closing, now
    records.was_stopped, records.unheard_until = progress.is_stopped, now + REPEATING_TIME
    records.last = None if records.human_drives and not progress.standing.intervened else progress.last
    records.join.restore_feedback(progress.feedback, now=now)
    director.go_on(changes, started=progress.started)
    return True


def hold_reset(progress: Progress, records: RunRecords, config: TrainConfig) -> None:
    """Pauses the next reset beside a robot where it moves the arms. A person may have stopped the one before.

    Args:
        progress: how far the run had come when an earlier process died.
        records: the records of the run.
        config: the configuration, which says who makes resets.
    """
    was_before_start = progress.standing.phase in (Phase.RESETTING, Phase.READY)
    if was_before_start and config.env.is_real and config.episode.reset != OPERATOR:
        text = f"reward_node was started anew, and the next reset ({config.episode.reset}) moves the arms; {LOOK}"
        records.episodes.hold(RESTART, text)
