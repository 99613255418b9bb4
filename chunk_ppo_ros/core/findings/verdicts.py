"""What a check of recorded data finds, with a verdict, and how verdicts are written for people and programs."""

from __future__ import annotations

import dataclasses
import enum
import textwrap
from collections.abc import Iterable, Mapping, Sequence

_WIDTH = 118


class Verdict(enum.Enum):
    """What a finding means for the work with the data."""

    FINE = "fine"
    ASK = "ask"
    REFUSE = "refuse"


_VERDICT_WIDTH = max(len(verdict.value) for verdict in Verdict)


@dataclasses.dataclass(frozen=True)
class DataFinding:
    """One thing that was found in data.

    Attributes:
        key: the name by which `--insist` accepts the finding.
        verdict: whether the data is fine, a person must say something, or the data is refused.
        found: what was found, with the value and the place.
        advice: the flag that settles it, and what it does; empty where nothing is to do.
        details: lines for people below the finding, such as a table.
        values: numbers and texts for programs, by name.
        can_insist: whether `--insist` accepts the finding.
        is_hint: whether the finding is a guess from the content, which good data may raise too. Commands print it and
            go on.
    """

    key: str
    verdict: Verdict
    found: str
    advice: str = ""
    details: tuple[str, ...] = ()
    values: Mapping[str, object] = dataclasses.field(default_factory=dict)
    can_insist: bool = True
    is_hint: bool = False

    @property
    def is_open(self) -> bool:
        """Whether somebody has to do something before the data is used."""
        return self.verdict is not Verdict.FINE

    @property
    def stops(self) -> bool:
        """Whether commands refuse to use the data as it is."""
        return self.is_open and not self.is_hint

    def accepted(self, insisted: Iterable[str]) -> DataFinding:
        """Returns the finding, which is fine where it is open and its key is among those that are insisted on."""
        if not self.is_open or not self.can_insist or self.key not in insisted:
            return self
        found = f"{self.found} (accepted by --insist {self.key})"
        return dataclasses.replace(self, verdict=Verdict.FINE, found=found, advice="")


def fine(key: str, found: str, details: Sequence[str] = (), /, **values: object) -> DataFinding:
    """Returns a finding about which nothing is to do."""
    return DataFinding(key, Verdict.FINE, found, "", tuple(details), values)


def ask(key: str, found: str, advice: str, **values: object) -> DataFinding:
    """Returns a finding that only a person can judge. The advice also names `--insist` with its key."""
    return DataFinding(key, Verdict.ASK, found, _with_insist(key, advice), (), values)


def hint(key: str, found: str, advice: str, **values: object) -> DataFinding:
    """Returns a finding that a person should look at, and with which commands go on; see `DataFinding.is_hint`."""
    return dataclasses.replace(ask(key, found, advice, **values), is_hint=True)


def refuse(key: str, found: str, advice: str, **values: object) -> DataFinding:
    """Returns a finding with which the data must not be used. The advice also names `--insist` with its key."""
    return DataFinding(key, Verdict.REFUSE, found, _with_insist(key, advice), (), values)


def blocking(key: str, verdict: Verdict, found: str, advice: str = "", **values: object) -> DataFinding:
    """Returns an open finding that `--insist` does not accept, because without its answer there is nothing to use."""
    return DataFinding(key, verdict, found, advice, (), values, can_insist=False)


def counts(findings: Iterable[DataFinding]) -> dict[str, int]:
    """Returns the number of findings of each verdict."""
    verdicts = [finding.verdict for finding in findings]
    return {verdict.value: verdicts.count(verdict) for verdict in Verdict}


def lines(finding: DataFinding) -> list[str]:
    """Returns the lines of a finding: its verdict, key and text, what to do below it, and its details."""
    lead = f"  {finding.verdict.value:<{_VERDICT_WIDTH}}  "
    indent = " " * (len(lead) + 2)
    text = textwrap.wrap(
        f"{finding.key}: {finding.found}", _WIDTH, initial_indent=lead, subsequent_indent=indent, break_long_words=False
    )
    if finding.advice:
        arrow = f"{indent}   "
        text += textwrap.wrap(f"-> {finding.advice}", _WIDTH, initial_indent=indent, subsequent_indent=arrow)
    return [*text, *(f"{indent}{detail}" for detail in finding.details)]


def _with_insist(key: str, advice: str) -> str:
    return f"{advice}; to use it as it is, --insist {key}"
