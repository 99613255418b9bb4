"""What an operator's screen knows of the graph. Nothing here needs ROS or a terminal."""

from __future__ import annotations

import dataclasses
import enum
import threading
from collections.abc import Callable, Mapping

from chunk_ppo_ros.nodes.common.newest_chunk import NewestChunk
from chunk_ppo_ros.rewards.bookkeeping.episode_counts import PromptCounts
from chunk_ppo_ros.rewards.bookkeeping.run_times import Times
from chunk_ppo_ros.robot.leaders.handover import Leaders


class Phase(enum.IntEnum):
    """Where an episode is, as EpisodeState.msg numbers it."""

    IDLE = 0
    RESETTING = 1
    READY = 2
    RUNNING = 3
    CLOSING = 4


class Level(enum.IntEnum):
    """How bad a status is, as DiagnosticStatus.msg numbers it."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the graph is looked for: the ROS domain, how far discovery goes, and the namespace."""

    domain: int
    discovery: str
    namespace: str


@dataclasses.dataclass(frozen=True)
class Episode:
    """The present episode, as EpisodeState.msg has it. `heard` is the steady time of the newest message, s."""

    run_id: str
    sender: str
    number: int
    phase: Phase
    paused: bool
    prompt: str
    reset: str
    mark: str
    waits_for: str
    command: str
    num_chunks: int
    num_steps: int
    total_reward: float
    counts: tuple[PromptCounts, ...]
    times: Times
    heard: float


@dataclasses.dataclass(frozen=True)
class Driver:
    """Who drives, what the leaders do, and what robot_node waits for of a person; empty where nothing."""

    human: bool
    leaders: Leaders
    message: str


@dataclasses.dataclass(frozen=True)
class Rollout:
    """The policy version, the accepted and the required transitions, and whether training has reached its end."""

    version: int
    num_accepted: int
    num_required: int
    final: bool = False


@dataclasses.dataclass(frozen=True)
class ChunkEnd:
    """How a chunk ended.

    Attributes:
        sequence_number: its number in the run.
        status: the name of its status, such as EXECUTED.
        num_steps: the executed control steps.
        reward: its reward.
        valid: whether it can be trained on.
        human: whether a human drove it.
        stamp: its stamp, ns of ROS time.
        first_command: the ROS time of its first command, ns; None where nothing was commanded.
    """

    sequence_number: int
    status: str
    num_steps: int
    reward: float
    valid: bool
    human: bool
    stamp: int
    first_command: int | None


@dataclasses.dataclass(frozen=True)
class Status:
    """One status of /diagnostics. `heard` is the steady time of the newest message, s."""

    name: str
    level: Level
    message: str
    values: Mapping[str, str] = dataclasses.field(default_factory=dict)
    heard: float = 0.0


@dataclasses.dataclass(frozen=True)
class Answer:
    """What was asked of a node, and its answer.

    Attributes:
        clock: the time of day, such as 14:02:11.
        asked: what was asked, in words.
        success: whether the node does it; None while there is no answer.
        message: the answer, or the reason why there is none.
        since: the steady time at which it was asked, s.
    """

    clock: str
    asked: str
    success: bool | None
    message: str = ""
    since: float = 0.0


@dataclasses.dataclass(frozen=True)
class Picture:
    """All that is known at one moment.

    Attributes:
        place: where the graph is looked for.
        nodes: the names of the nodes of a run that are there; None before the first look.
        gone: the names of nodes that were there and are not any more.
        episode: the present episode, or None before it is told.
        driver: who drives, or None before it is told.
        stopped: whether there is an emergency stop, or None before it is told.
        motion: the scripted motion that is under way, in words, or an empty string.
        rollout: the policy version and its rollout, or None before they are told.
        chunk: the newest chunk of policy_node, or None before any.
        ends: how the last chunks ended, the newest last.
        start_age: how old the observation of a chunk was at its first command, s; None before any is known.
        statuses: the newest statuses of /diagnostics by name.
        num_holds: how often robot_node has said, since the screen began, that the robot does not move.
        answer: the newest answer to this screen, or None before any.
        calls: what operators asked of nodes lately, by whatever means, the newest last.
        problems: what is wrong with the pedals, and with messages that cannot be read.
        question: what the operator is asked before something is done, or an empty string.
    """

    place: Place
    nodes: frozenset[str] | None = None
    gone: tuple[str, ...] = ()
    episode: Episode | None = None
    driver: Driver | None = None
    stopped: bool | None = None
    motion: str = ""
    rollout: Rollout | None = None
    chunk: NewestChunk | None = None
    ends: tuple[ChunkEnd, ...] = ()
    start_age: float | None = None
    statuses: Mapping[str, Status] = dataclasses.field(default_factory=dict)
    num_holds: int = 0
    answer: Answer | None = None
    calls: tuple[Answer, ...] = ()
    problems: tuple[str, ...] = ()
    question: str = ""

    @property
    def is_deployment(self) -> bool:
        """Whether a checkpoint acts without a trainer, as far as it is known."""
        return self.nodes is not None and "deployment_node" in self.nodes

    @property
    def phase(self) -> Phase:
        """Where the episode is, and IDLE before it is told."""
        return Phase.IDLE if self.episode is None else self.episode.phase

    @property
    def human_drives(self) -> bool:
        """Whether a human drives, as far as it is told."""
        return self.driver is not None and self.driver.human

    @property
    def paused(self) -> bool:
        """Whether the episode is paused, as far as it is told."""
        return self.episode is not None and self.episode.paused


class Board:
    """Holds the newest picture. Any thread may change it.

    Args:
        place: where the graph is looked for.
    """

    def __init__(self, place: Place) -> None:
        self._lock = threading.Lock()
        self._picture = Picture(place)

    @property
    def picture(self) -> Picture:
        """The newest picture."""
        with self._lock:
            return self._picture

    def change(self, change: Callable[[Picture], Picture]) -> None:
        """Replaces the picture by what a function makes of it."""
        with self._lock:
            self._picture = change(self._picture)
