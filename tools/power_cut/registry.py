"""The list of cases."""

from __future__ import annotations

from collections.abc import Mapping

from power_cut.case import Case
from power_cut.cases.checkpoint import CheckpointCase
from power_cut.cases.counter import CounterCase
from power_cut.cases.queue import QueueCase
from power_cut.cases.store import GroupCommitCase, StoreCase
from power_cut.cases.store_faults import FailingDiskCase
from power_cut.cases.training import TrainingCase
from power_cut.cases.unsynced import UnsyncedCase

_ALL = (
    UnsyncedCase,
    StoreCase,
    FailingDiskCase,
    GroupCommitCase,
    QueueCase,
    CounterCase,
    CheckpointCase,
    TrainingCase,
)

CASES: Mapping[str, type[Case]] = {case.name: case for case in _ALL}
"""The cases by their names."""
