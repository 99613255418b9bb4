"""Pauses, ends episodes and takes over at any moment, with leader arms that leap and fall silent."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer

EPISODE_STARTS = "an episode starts"


class Operator:
    """An operator who does at any moment what an operator can do.

    Args:
        player: the chunk player.
        random: the source of everything random.
        max_velocity: the largest speed of the arm joints at the start, rad/s. It is lowered and raised again.
        on_speed: is called with each new largest speed.
    """

    def __init__(
        self,
        player: ChunkPlayer,
        random: np.random.Generator,
        *,
        max_velocity: float,
        on_speed: Callable[[float], None],
    ) -> None:
        self._player, self._random = player, random
        self._max_velocity, self._on_speed = max_velocity, on_speed
        self.has_stopped = False  # whether there is an emergency stop
        self._leader = np.zeros(aloha.ACTION_DIM)
        self._speed = np.zeros(aloha.ACTION_DIM)
        self._silent_for = 0
        self._reported = -np.inf
        self.num_events = 0
        self.has_frozen = False

    def start(self) -> None:
        """Starts an episode."""
        self._player.resume()

    def leads(self, now: float) -> bool:
        """Returns whether the leaders have reported within the last half second."""
        return now - self._reported <= 0.5

    def act(self, held: np.ndarray, now: float) -> str:
        """Does something or nothing, moves the leaders, and returns an event in words, or an empty string.

        Args:
            held: float [14], where the followers are held.
            now: the steady time, s.
        """
        event = self._event(self._random.random())
        self.num_events += bool(event)
        if self._player.human_drives:
            self._drive(held, now)
        return event

    def _event(self, draw: float) -> str:
        player = self._player
        if 0.6 < draw < (0.62 if self.has_stopped else 0.6015):
            self.has_stopped = not self.has_stopped
            player.readiness.note_obstacle("an emergency stop" if self.has_stopped else "")
            return "an emergency stop" if self.has_stopped else "the emergency stop is cleared"
        if 0.7 < draw < 0.703:
            speed = float(self._max_velocity * self._random.choice([1.0, self._random.uniform(0.02, 1.0)]))
            player.set_max_velocity(speed)
            self._on_speed(speed)
            return f"the largest speed is {speed:.3f} rad/s"
        if draw < (0.05 if player.readiness.suspended else 0.001 if player.playing else 0.01):
            self.has_frozen = False
            player.resume()
            return EPISODE_STARTS
        if draw > 0.997:
            self.has_frozen = draw < 0.9985
            player.suspend("paused", freeze=self.has_frozen)
            return "a pause" if self.has_frozen else "the episode ends, and a human may move the robot"
        if not player.human_drives and 0.5 < draw < 0.503:
            player.take_over()
            return "a human takes over"
        if player.human_drives and 0.5 < draw < 0.515:
            player.give_back()
            return "the human hands back"
        return ""

    def _drive(self, held: np.ndarray, now: float) -> None:
        """Moves the leaders. They come to the followers again and again, leap at times, and fall silent."""
        draw = self._random.random()
        if draw < 0.04:
            self._leader = held + self._random.normal(0.0, 0.03, aloha.ACTION_DIM)
            self._speed = self._random.normal(0.0, self._random.choice([0.0, 0.02, 0.2]), aloha.ACTION_DIM)
        elif draw < 0.05:
            self._leader = self._random.uniform(-3.5, 3.5, aloha.ACTION_DIM)
            self.num_events += 1
        elif draw < 0.06:
            self._silent_for = int(self._random.integers(1, 60))
            self.num_events += 1
        self._leader = self._leader + self._speed
        self._silent_for -= 1
        if self._silent_for < 0:
            self._reported = now
            for side in aloha.SIDES:
                self._player.observe_leader(side, self._leader[aloha.side_slice(side)], now=now)
