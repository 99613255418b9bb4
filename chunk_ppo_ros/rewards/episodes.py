"""Keeps the life of episodes as a state machine, which returns each change for the caller to publish.

docs/episodes.md has the picture, and says who may cause each change.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from types import MappingProxyType

OPERATOR, ROBOT, DELIVERY, RESTART, STORE = "operator", "robot", "delivery", "restart", "store"
"""The names of reasons to pause.

An operator asked for it, the robot failed too often, transitions are not taken, a node was started anew beside a robot,
or what is decided cannot be stored.
"""
PASSING = (DELIVERY, STORE)
"""The reasons that end by themselves. An operator must end the others."""


class Event(enum.IntEnum):
    """Lists the changes of an episode. The numbers are those of EpisodeEvent.msg."""

    RESET = 0
    STARTED = 1
    ENDED = 2
    PAUSED = 3
    RESUMED = 4
    READY = 5


class Ending(enum.IntEnum):
    """Lists how an episode can end. The numbers are those of EpisodeEvent.msg."""

    NONE = 0
    SUCCESS = 1
    FAILURE = 2
    DISCARDED = 3
    TIME_LIMIT = 4
    INTERRUPTED = 5


class Phase(enum.Enum):
    """Lists the phases of the current episode."""

    IDLE = "there is no episode"
    RESETTING = "the scene is being reset"
    READY = "the episode waits for its start"
    RUNNING = "an episode runs"


@dataclasses.dataclass(frozen=True)
class EpisodeChange:
    """Describes one change of an episode.

    `total_reward`, `num_chunks` and `intervened` (whether a human took over) count the episode up to the change.
    `prompt` is the task in words, which stays the same in all changes of an episode.
    """

    episode: int
    seed: int
    event: Event
    ending: Ending
    total_reward: float
    num_chunks: int
    intervened: bool
    prompt: str
    message: str


@dataclasses.dataclass(frozen=True)
class EpisodeStanding:
    """Says where an episode is, for a process that goes on with it. The fields are those of `Episodes`."""

    episode: int
    phase: Phase
    prompt: str
    num_chunks: int
    num_steps: int
    total_reward: float
    intervened: bool


class Episodes:
    """Counts episodes and holds their phase, return and reasons to pause.

    Args:
        next_episode: the number of the first episode.
        seed: a function that returns the seed of an episode's reset from the number of the episode.
        prompt: a function that returns the task of an episode in words from the number of the episode. It is called
            once for each episode, when the episode begins.
    """

    def __init__(
        self, *, next_episode: int, seed: Callable[[int], int], prompt: Callable[[int], str] = lambda episode: ""
    ) -> None:
        self.phase = Phase.IDLE
        self.episode = next_episode - 1
        self.num_chunks = 0
        self.num_steps = 0
        self.total_reward = 0.0
        self.intervened = False
        self.prompt = ""
        self._human_drives = False
        self._seed = seed
        self._prompt_for = prompt
        self._holds: dict[str, str] = {}

    @property
    def paused(self) -> bool:
        """Whether there is a reason to pause."""
        return bool(self._holds)

    @property
    def holds(self) -> Mapping[str, str]:
        """The text of each reason to pause, by the name of the reason, in the order in which they came."""
        return MappingProxyType(self._holds)

    @property
    def needs_operator(self) -> bool:
        """Whether a reason to pause stands until an operator has looked. Others, such as a full disk, end alone."""
        return any(reason not in PASSING for reason in self._holds)

    @property
    def standing(self) -> EpisodeStanding:
        """Where the present episode is."""
        names = [field.name for field in dataclasses.fields(EpisodeStanding)]
        return EpisodeStanding(**{name: getattr(self, name) for name in names})

    @property
    def seed(self) -> int:
        """The seed of the reset of the present episode."""
        return self._seed(max(self.episode, 0))

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
        self.prompt = self._prompt_for(self.episode)
        return [self._change(Event.RESET, message)]

    def go_on(self, standing: EpisodeStanding, message: str) -> list[EpisodeChange]:
        """Goes on with an episode that another process has begun. A paused one stays paused without a break.

        Raises:
            ValueError: where this one has an episode already.
        """
        if self.phase is not Phase.IDLE:
            raise ValueError(f"an episode can go on only where none has begun; {self.phase.value}")
        for field in dataclasses.fields(EpisodeStanding):
            setattr(self, field.name, getattr(standing, field.name))
        self.intervened = standing.intervened or self._human_drives
        return self.paused_again() or [self._change(Event.STARTED, message)]

    def begin_reset_again(self, message: str) -> list[EpisodeChange]:
        """Asks anew for the reset of an episode that has not started.

        Raises:
            ValueError: where no episode waits for its reset or for its start.
        """
        if self.phase not in (Phase.RESETTING, Phase.READY):
            raise ValueError(f"a reset can begin anew only before the start of an episode; {self.phase.value}")
        self.phase = Phase.RESETTING
        return [self._change(Event.RESET, message)]

    def finish_reset(self, message: str) -> list[EpisodeChange]:
        """Records that the reset is done, so that the episode waits for its start.

        Raises:
            ValueError: where no reset is under way.
        """
        if self.phase is not Phase.RESETTING:
            raise ValueError(f"a reset can be done only after it was asked for; {self.phase.value}")
        self.phase = Phase.READY
        return [self._change(Event.READY, message)]

    def start(self, message: str) -> list[EpisodeChange]:
        """Starts the episode, because the scene is ready.

        Raises:
            ValueError: where no reset was asked for.
        """
        self.check_start()
        self.phase = Phase.RUNNING
        self.intervened = self._human_drives
        paused = [self._change(Event.PAUSED, self._why())] if self._holds else []
        return [self._change(Event.STARTED, message), *paused]

    def check_start(self) -> None:
        """Raises a ValueError where no reset was asked for, so that the episode cannot start."""
        if self.phase not in (Phase.RESETTING, Phase.READY):
            raise ValueError(f"an episode can start only after a reset; {self.phase.value}")

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

    def paused_again(self) -> list[EpisodeChange]:
        """Returns the pause of a running episode once more, or nothing where it is not paused."""
        paused = self._holds and self.phase is Phase.RUNNING
        return [self._change(Event.PAUSED, self._why())] if paused else []

    def _why(self) -> str:
        return "; ".join(self._holds.values())

    def _change(self, event: Event, message: str, ending: Ending = Ending.NONE) -> EpisodeChange:
        episode = max(self.episode, 0)
        return EpisodeChange(
            episode,
            self.seed,
            event,
            ending,
            self.total_reward,
            self.num_chunks,
            self.intervened,
            self.prompt,
            message,
        )
