"""Runs the graph, kills what the plan says, starts again what does not start itself, and waits for the end."""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from chaos.kill_plan import RESTARTING, TOPICS, Kill
from chaos.settings import SUPERVISOR
from chaos.supervised_graph import SupervisedGraph
from chaos.witness import Witness

STARTS_WITHIN = 240.0
"""The time within which the graph executes its first chunk, s. Everything compiles meanwhile."""
STALLED_AFTER = 120.0
"""The time without an executed chunk after which the graph counts as stalled, s."""
TOPIC_PATIENCE = 15.0
"""The longest wait for a message that a kill follows, s. The kill happens then all the same."""
_UPDATES_AT_THE_END = 2
_STEP = 0.25  # s


@dataclasses.dataclass(frozen=True)
class Death:
    """What was killed, and when.

    Attributes:
        time: the wall clock, s.
        targets: the nodes that were killed, or the supervisor.
    """

    time: float
    targets: tuple[str, ...]


@dataclasses.dataclass
class Campaign:
    """A run whose nodes are killed.

    Attributes:
        graph: the graph.
        witness: the listener.
        checkpoints: the folder of the checkpoints.
        say: prints a line.
        deaths: what was killed.
        stalls: what the graph was doing each time when it stood still for good.
        surrenders: how often the supervisor ended by itself.
        quiet_since: the wall clock from which on nothing was killed, s.
    """

    graph: SupervisedGraph
    witness: Witness
    checkpoints: Path
    say: Callable[[str], None]
    deaths: list[Death] = dataclasses.field(default_factory=list)
    stalls: list[str] = dataclasses.field(default_factory=list)
    surrenders: int = 0
    quiet_since: float = 0.0

    def run(self, kills: Sequence[Kill], num_chunks: int) -> None:
        """Runs the graph until it has executed `num_chunks` chunks and everything was killed that the plan says."""
        self.graph.start(resume=False)
        self._wait(1, STARTS_WITHIN)
        for number, kill in enumerate(kills, 1):
            self._await(kill)
            killed = self._kill(kill.targets)
            self.deaths.append(Death(time.time(), tuple(killed)))
            counts = f"{len(self.witness.executed)} chunks, version {self.witness.version}"
            self.say(f"kill {number} of {len(kills)} after {counts}: {kill}" + ("" if killed else " (nothing to kill)"))
            if SUPERVISOR in kill.targets:
                self.graph.start(resume=self._has_checkpoint())
        self._wait(num_chunks, STALLED_AFTER)
        self.quiet_since = time.time()
        target = self.witness.version + _UPDATES_AT_THE_END
        self._progress(lambda: self.witness.version >= target, STALLED_AFTER)
        code = self.graph.stop()
        self.deaths.append(Death(time.time(), (SUPERVISOR,)))
        self.say(f"the graph was stopped and ended with exit code {code}")

    def _kill(self, targets: Sequence[str]) -> list[str]:
        """Kills what runs of the targets. Where none of them runs, it waits until one does."""
        began = time.monotonic()
        while not (killed := self.graph.kill(targets)) and time.monotonic() - began < STALLED_AFTER:
            time.sleep(0.05)
        return killed

    def killed(self) -> dict[str, int]:
        """Returns how often each node and the supervisor were killed."""
        return dict(collections.Counter(target for death in self.deaths[:-1] for target in death.targets))

    def _await(self, kill: Kill) -> None:
        """Waits for the moment of a kill."""
        if kill.moment == RESTARTING:
            time.sleep(kill.delay)
            return
        self._wait(kill.chunks, STALLED_AFTER)
        if kill.moment in TOPICS:
            self.witness.wait_for_topic(kill.moment, TOPIC_PATIENCE)
        time.sleep(kill.delay)

    def _wait(self, num_chunks: int, patience: float) -> None:
        self._progress(lambda: len(self.witness.executed) >= num_chunks, patience)

    def _progress(self, condition: Callable[[], bool], patience: float) -> None:
        """Waits until a condition holds. A graph that stands still for good is told, and is started again."""
        moved_at, executed = time.monotonic(), len(self.witness.executed)
        while not self.witness.wait_for(condition, _STEP):
            if not self.witness.is_alive:
                raise RuntimeError("the listener must live as long as the graph, got its end; look at its errors")
            if self.graph.exit_code is not None:
                self.surrenders += 1
                self.say(f"the supervisor ended by itself with exit code {self.graph.exit_code}, and is started again")
                self.say(self.graph.last_lines(25))
                self.graph.start(resume=self._has_checkpoint())
            if len(self.witness.executed) > executed:
                moved_at, executed = time.monotonic(), len(self.witness.executed)
            elif time.monotonic() - moved_at > patience:
                self.stalls.append(self.graph.last_lines())
                self.say(f"no chunk was executed for {patience:.0f} s; the graph is started again")
                self.say(self.stalls[-1])
                self.graph.kill((SUPERVISOR,))
                self.deaths.append(Death(time.time(), (SUPERVISOR,)))
                self.graph.start(resume=self._has_checkpoint())
                moved_at = time.monotonic()

    def _has_checkpoint(self) -> bool:
        return any((path / "metadata.json").exists() for path in self.checkpoints.glob("step_*"))
