"""Keeps the life of episodes as a state machine, which returns each change for the caller to publish."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable


class Event(enum.IntEnum):
    """Lists the changes of an episode. The numbers are those of EpisodeEvent.msg."""

    RESET = 0
    STARTED = 1
    ENDED = 2
    PAUSED = 3
    RESUMED = 4


class Ending(enum.IntEnum):
    """Lists how an episode can end. The numbers are those of EpisodeEvent.msg."""

    NONE = 0
    SUCCESS = 1
    FAILURE = 2
    DISCARDED = 3
    TIME_LIMIT = 4


class Phase(enum.Enum):
    """Lists the phases of the current episode."""

    IDLE = "there is no episode"
    RESETTING = "the scene is being reset"
    RUNNING = "the policy may act"


@dataclasses.dataclass(frozen=True)
class EpisodeChange:
    """Describes one change of an episode.

    `total_reward`, `num_chunks` and `intervened` (whether a human took over) count the episode up to the change.
    """

    episode: int
    seed: int
    event: Event
    ending: Ending
    total_reward: float
    num_chunks: int
    intervened: bool
    message: str


class Episodes:
    """Counts episodes and holds their phase, return and reasons to pause.

    Args:
        next_episode: the number of the first episode.
        seed: a function that returns the seed of an episode's reset from the number of the episode.
    """

    def __init__(self, *, next_episode: int, seed: Callable[[int], int]) -> None:
        self.phase = Phase.IDLE
        self.episode = next_episode - 1
        self.num_chunks = 0
        self.num_steps = 0
        self.total_reward = 0.0
        self.intervened = False
        self._human_drives = False
        self._seed = seed
        self._holds: dict[str, str] = {}

    @property
    def paused(self) -> bool:
        """Whether there is a reason to pause."""
        return bool(self._holds)

    def begin(self, message: str) -> list[EpisodeChange]:
        """Begins the next episode, and asks for its reset.

        Raises:
            ValueError: where an episode has not ended.
        """
        if self.phase is not Phase.IDLE:
            raise ValueError(f"an episode must end before the next begins; {self.phase.value}")
        self.phase, self.episode = Phase.RESETTING, self.episode + 1
        self.num_chunks, self.num_steps, self.total_reward = 0, 0, 0.0
        self.intervened = False
        return [self._change(Event.RESET, message)]

    def start(self, message: str) -> list[EpisodeChange]:
        """Starts the episode, because the scene is ready.

        Raises:
            ValueError: where no reset was asked for.
        """
        if self.phase is not Phase.RESETTING:
            raise ValueError(f"an episode can start only after a reset; {self.phase.value}")
        self.phase = Phase.RUNNING
        self.intervened = self._human_drives
        paused = [self._change(Event.PAUSED, self._why())] if self._holds else []
        return [self._change(Event.STARTED, message), *paused]

    def human_drives(self, human: bool) -> None:
        """Records that a human has taken over or handed back. Between episodes that is no intervention."""
        self._human_drives = human
        self.intervened = self.intervened or (human and self.phase is Phase.RUNNING)

    def add_chunk(self, reward: float, *, num_steps: int) -> None:
        """Counts a valid chunk of the running episode, which has ended after `num_steps` executed control steps."""
        self.num_chunks += 1
        self.num_steps += num_steps
        self.total_reward += reward

    def amend_reward(self, change: float) -> None:
        """Adds the change of a chunk's reward to the return of the running episode."""
        self.total_reward += change

    def end(self, ending: Ending, message: str) -> list[EpisodeChange]:
        """Ends the episode, whether it has started or not. Returns no change where there is no episode."""
        if self.phase is Phase.IDLE:
            return []
        self.phase = Phase.IDLE
        return [self._change(Event.ENDED, message, ending)]

    def hold(self, reason: str, message: str) -> list[EpisodeChange]:
        """Adds a reason to pause. Returns a change where it is the first reason and an episode runs."""
        first = not self._holds
        self._holds.setdefault(reason, message)
        return [self._change(Event.PAUSED, message)] if first and self.phase is Phase.RUNNING else []

    def release(self, reason: str, message: str) -> list[EpisodeChange]:
        """Removes a reason to pause. Returns a change where it was the last reason and an episode runs."""
        stood = self._holds.pop(reason, None) is not None
        last = stood and not self._holds
        return [self._change(Event.RESUMED, message)] if last and self.phase is Phase.RUNNING else []

    def _why(self) -> str:
        return "; ".join(self._holds.values())

    def _change(self, event: Event, message: str, ending: Ending = Ending.NONE) -> EpisodeChange:
        episode = max(self.episode, 0)
        return EpisodeChange(
            episode,
            self._seed(episode),
            event,
            ending,
            self.total_reward,
            self.num_chunks,
            self.intervened,
            message,
        )
