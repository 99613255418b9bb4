"""Counts of what was injected, of the commands that followed, and of the rules that they broke."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Violation:
    """A rule that was broken, and how to see it again.

    Attributes:
        rule: the name of the count, for example "over_velocity".
        where: the part of the run that repeats it, for example "--seed 1 --trial 7".
        text: what happened, with numbers.
        inputs: the inputs before it, oldest first.
    """

    rule: str
    where: str
    text: str
    inputs: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.rule} in {self.where}: {self.text}", *(f"    {line}" for line in self.inputs)]
        return "\n".join(lines)


@dataclasses.dataclass
class Counts:
    """Counts of a run or of a part of it. The rules that must never be broken come first.

    Attributes:
        outside_limits: commands in which a joint was outside its range, or a watched point outside its arm's workspace,
            and not monotonically toward it.
        over_velocity: commands whose step is longer than the speed allows for min(real time, control period).
        over_acceleration: commands whose step differs from the step before by more than the acceleration allows.
        moved_after_stop: commands that differ from the one before after the ramp of a stop must have ended.
        double_results: results beyond the first for a stamp.
        missing_results: stamps that were received and have no result.
        late_holds: causes of a stop after which no command decelerated within two control steps.
        stopped_at_speed: control steps without a command although the last command was too fast to stop at once.
        unconfirmed_leaps: anchors far from the command before that no operator had confirmed.
        not_recovered: faults after whose end no chunk was executed within some seconds.
        stamps_ahead: segments of a human whose stamp is ahead of the clock by more than a chunk's may be.
        crashes: exceptions.
        faults: injected faults.
        chunks: chunks of which a half was delivered.
        commands: commands that were judged.
        anchors: commands that did not follow from the one before, but from a reading at rest; see `stream_check.py`.
        anchor_jumps: distance of each of these from the command before, rad, after an operator has looked.
        free_jumps: distances of the others, rad, which a fault alone allowed.
        forced: commands that could not keep the acceleration because a short control step allowed them less speed.
        hold_ms: time from each cause of a stop to the first decelerating command, ms.
        violations: the first of the broken rules.
    """

    outside_limits: int = 0
    over_velocity: int = 0
    over_acceleration: int = 0
    moved_after_stop: int = 0
    double_results: int = 0
    missing_results: int = 0
    late_holds: int = 0
    stopped_at_speed: int = 0
    unconfirmed_leaps: int = 0
    not_recovered: int = 0
    stamps_ahead: int = 0
    crashes: int = 0
    faults: int = 0
    chunks: int = 0
    commands: int = 0
    anchors: int = 0
    forced: int = 0
    anchor_jumps: list[float] = dataclasses.field(default_factory=list)
    free_jumps: list[float] = dataclasses.field(default_factory=list)
    hold_ms: list[float] = dataclasses.field(default_factory=list)
    violations: list[Violation] = dataclasses.field(default_factory=list)

    def add(self, violation: Violation) -> None:
        """Counts a broken rule, and keeps it."""
        setattr(self, violation.rule, getattr(self, violation.rule) + 1)
        self.keep(violation)

    def keep(self, violation: Violation) -> None:
        """Keeps a broken rule that is already counted, unless there are enough of its kind."""
        if sum(kept.rule == violation.rule for kept in self.violations) < KEPT_VIOLATIONS:
            self.violations.append(violation)

    @property
    def broken(self) -> dict[str, int]:
        """The counts that must be 0 and are not."""
        return {rule: count for rule in MUST_BE_ZERO if (count := getattr(self, rule))}

    def closing_line(self) -> str:
        """Returns the line with which a run ends."""
        numbers = {name: getattr(self, name) for name in IN_CLOSING_LINE}
        return " ".join(f"{name}={number}" for name, number in numbers.items()) + f" hold_ms_p99={self.hold(99):.0f}"

    def details(self) -> str:
        """Returns the counts that the closing line does not have."""
        rest = [name for name in MUST_BE_ZERO if name not in IN_CLOSING_LINE]
        looked, free = (max(jumps, default=0.0) for jumps in (self.anchor_jumps, self.free_jumps))
        return (
            f"chunks={self.chunks} {' '.join(f'{name}={getattr(self, name)}' for name in rest)}\n"
            f"  new anchors at a reading: {self.anchors}, up to {looked:.3f} rad from the command before where an "
            f"operator has looked, and up to {free:.3f} rad after a fault alone ({len(self.free_jumps)} of them)\n"
            f"  commands that a short control step forced to change speed faster: {self.forced}\n"
            f"  stops that were timed: {len(self.hold_ms)}, hold_ms p50={self.hold(50):.0f} p99={self.hold(99):.0f}"
        )

    def hold(self, percent: float) -> float:
        """Returns a percentile of hold_ms, or 0 where no stop was timed."""
        return float(np.percentile(self.hold_ms, percent)) if self.hold_ms else 0.0


MUST_BE_ZERO = tuple(field.name for field in dataclasses.fields(Counts))[:12]
"""The names of the rules that must never be broken."""
IN_CLOSING_LINE = (
    "faults",
    "commands",
    "outside_limits",
    "over_velocity",
    "over_acceleration",
    "moved_after_stop",
    "double_results",
)
KEPT_VIOLATIONS = 3
"""The number of violations of each rule that are kept."""


def total(parts: Iterable[Counts]) -> Counts:
    """Returns the sum of counts."""
    summed = Counts()
    for part in parts:
        for field in dataclasses.fields(Counts):
            if field.name != "violations":
                setattr(summed, field.name, getattr(summed, field.name) + getattr(part, field.name))
        for violation in part.violations:
            summed.keep(violation)
    return summed
