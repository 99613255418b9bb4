"""Publishes where the episode is and what is waited for, on `episode_state`, in the log and on `/diagnostics`."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable

from chunk_ppo_msgs import msg
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node

from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.nodes.common.conditions import DIAGNOSTICS_PERIOD, Conditions
from chunk_ppo_ros.nodes.common.status.diagnostics import Diagnostics, Value
from chunk_ppo_ros.nodes.reward.run_records import RunRecords
from chunk_ppo_ros.nodes.reward.state.run_books import RunBooks
from chunk_ppo_ros.nodes.reward.state.waits import Wait
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.rewards.episodes import Ending, Phase

State = msg.EpisodeState
_PHASES = {
    Phase.IDLE: State.IDLE,
    Phase.RESETTING: State.RESETTING,
    Phase.READY: State.READY,
    Phase.RUNNING: State.RUNNING,
}
_PHASE_NAMES = {
    State.IDLE: "IDLE",
    State.RESETTING: "RESETTING",
    State.READY: "READY",
    State.RUNNING: "RUNNING",
    State.CLOSING: "CLOSING",
}

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


class EpisodeStatePublisher:
    """Publishes the present state at each change and once a second, and logs each wait for a person once.

    Args:
        node: the node that publishes and logs.
        records: the records of the run.
        books: the counts and times of the run.
        conditions: the conditions of the node, which the diagnostics tell too.
        reset: who makes resets, which is `episode.reset`.
        find_wait: returns what is waited for now.
        queue: returns how many transitions wait for the answer of trainer_node.
    """

    def __init__(
        self,
        node: Node,
        records: RunRecords,
        books: RunBooks,
        conditions: Conditions,
        *,
        reset: str,
        find_wait: Callable[[], Wait],
        queue: Callable[[], int],
    ) -> None:
        self._node = node
        self._records = records
        self._books = books
        self._conditions = conditions
        self._reset = reset
        self._find_wait = find_wait
        self._queue = queue
        self._publisher = topics.EPISODE_STATE.create_publisher(node)
        self._diagnostics = Diagnostics(node)
        self._published: tuple[object, ...] = ()
        self._published_at = float("-inf")
        self._logged: tuple[object, ...] = ()

    @property
    def phase(self) -> int:
        """The phase, as EpisodeState.msg numbers it."""
        return State.CLOSING if self._records.closing is not None else _PHASES[self._records.episodes.phase]

    def update(self, now: float) -> None:
        """Publishes where something has changed or a second has passed. `now` is the time of a steady clock, s."""
        wait, records = self._find_wait(), self._records
        told = Wait() if wait.is_brief else wait
        state = (records.run_id, records.episodes.episode, self.phase, records.episodes.paused, records.mark, told)
        if state != self._published or now - self._published_at >= DIAGNOSTICS_PERIOD:
            self._published, self._published_at = state, now
            self._log(wait)
            self._publisher.publish(self._message(wait))
            self._diagnostics.publish(self._status(wait))

    def _log(self, wait: Wait) -> None:
        """Logs a wait once in an episode. A reason may hold a number, such as a distance, that changes all the time."""
        subject = (self._records.run_id, self._records.episodes.episode, _NUMBER.sub("", wait.line))
        if wait.is_brief or not wait.text or subject == self._logged:
            return
        self._logged = subject
        self._node.get_logger().info(wait.line)

    def _message(self, wait: Wait) -> msg.EpisodeState:
        records, episodes = self._records, self._records.episodes
        state = State(
            run_id=records.run_id,
            sender=DEFAULT_SENDER,
            episode=max(episodes.episode, 0),
            phase=self.phase,
            paused=episodes.paused,
            prompt=episodes.prompt,
            reset=self._reset,
            mark=int(Ending.NONE if records.mark is None else records.mark.ending),
            waits_for=wait.text,
            command=wait.command,
            num_chunks=episodes.num_chunks,
            num_steps=episodes.num_steps,
            total_reward=episodes.total_reward,
            counts=[msg.EpisodeCounts(**dataclasses.asdict(each)) for each in self._books.counts.by_prompt],
            times=msg.RunTimes(**dataclasses.asdict(self._books.times.times)),
            running_when_robot_died=records.running_when_robot_died,
        )
        state.header.stamp = self._node.get_clock().now().to_msg()
        return state

    def _status(self, wait: Wait) -> DiagnosticStatus:
        """Returns the status of reward_node. It warns while a person is waited for."""
        episodes, paused = self._records.episodes, ", paused" if self._records.episodes.paused else ""
        where = f"episode {max(episodes.episode, 0)} {_PHASE_NAMES[self.phase]}{paused}"
        waits = [wait.line] if wait.text else []
        level = max(self._conditions.level, DiagnosticStatus.WARN if wait.command else DiagnosticStatus.OK)
        message = "; ".join([where, *waits, *self._conditions.texts])
        return self._diagnostics.status(level, message, self._values(wait))

    def _values(self, wait: Wait) -> dict[str, Value]:
        counts, episodes = self._books.counts, self._records.episodes
        solved = sum(each.num_success for each in counts.by_prompt)
        return {
            "waits for": wait.text,
            "command": wait.command,
            "episode": episodes.episode,
            "episode_chunks": episodes.num_chunks,
            "episode_steps": episodes.num_steps,
            "episode_reward": episodes.total_reward,
            "num_episodes": counts.num_by_policy,
            "success_rate": solved / counts.num_by_policy if counts.num_by_policy else math.nan,
            "num_interventions": sum(each.num_intervened for each in counts.by_prompt),
            "num_discarded": sum(each.num_discarded for each in counts.by_prompt),
            "queue": self._queue(),
            "chunks running when robot_node died": self._records.running_when_robot_died,
        }
