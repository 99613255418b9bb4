"""Tests that trainer_node says what a run needs, and keeps its stored transitions within the budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chunk_ppo_ros.config import PRESETS
from chunk_ppo_ros.core.units import GIBIBYTE
from chunk_ppo_ros.nodes.common.worker import Failed, Outcome, Succeeded
from chunk_ppo_ros.nodes.trainer.disk_budget import DiskBudget
from support.fake_node import FakeNode


class Node(FakeNode):
    """A node that does its work at once."""

    def __init__(self, folder: Path, max_disk: float) -> None:
        super().__init__()
        base = PRESETS["debug"]
        places = {"run_dir": str(folder), "checkpoint_root": str(folder / "checkpoints")}
        run = dataclasses.replace(base.run, **places, max_disk=max_disk)  # type: ignore[arg-type]
        self.config = dataclasses.replace(base, run=run)

    def submit(self, job: Callable[[], Any], then: Callable[[Outcome[Any]], None]) -> None:
        try:
            outcome: Outcome[Any] = Succeeded(job())
        except OSError as error:
            outcome = Failed(error)
        then(outcome)


class Journal:
    """Keeps the budgets that it is told, and may fail. It may have files that a rollback needs."""

    def __init__(self, error: OSError | None = None, *, for_rollback: int = 0) -> None:
        self.budgets: list[int] = []
        self.rollbacks: list[int | None] = []
        self.error = error
        self.for_rollback = for_rollback

    def remove_oldest(self, *, max_bytes: int, rollback_to: int | None = None) -> list[Path]:
        self.budgets.append(max_bytes)
        self.rollbacks.append(rollback_to)
        if self.error is not None:
            raise self.error
        return [Path("file")] * self.for_rollback if rollback_to is None else []


@pytest.mark.parametrize(("max_disk", "level"), [(0.001, "info"), (1_000_000.0, "warning")])
def test_what_a_run_needs_is_said_and_too_little_is_a_warning(tmp_path: Path, max_disk: float, level: str) -> None:
    node = Node(tmp_path / "new", max_disk)
    DiskBudget(node).tell()  # type: ignore[arg-type]
    ((found, text),) = node.take_lines()
    assert found == level
    assert "GiB an hour for each robot" in text and f"run.max_disk keeps {max_disk:g} GiB" in text


def test_the_journal_is_kept_within_the_budget_and_an_error_of_the_disk_is_told(tmp_path: Path) -> None:
    node, journal = Node(tmp_path, 0.5), Journal()
    DiskBudget(node).keep(journal)  # type: ignore[arg-type]
    assert set(journal.budgets) == {GIBIBYTE // 2} and node.take_lines() == []
    DiskBudget(node).keep(Journal(OSError("no disk")))  # type: ignore[arg-type]
    assert node.take_lines() == [("error", "the oldest stored transitions cannot be removed: no disk")]


def test_what_a_rollback_needs_goes_last_and_is_told_once(tmp_path: Path) -> None:
    node = Node(tmp_path, 0.5)
    for version in (4, 12, 13):
        folder = node.config.run.checkpoint_folder / f"step_{version}"
        folder.mkdir(parents=True)
        (folder / "metadata.json").touch()
    budget, journal = DiskBudget(node), Journal()  # type: ignore[arg-type]
    budget.keep(journal)  # type: ignore[arg-type]
    assert journal.rollbacks == [4, None] and node.take_lines() == []
    for _ in range(2):
        budget.keep(Journal(for_rollback=2))  # type: ignore[arg-type]
    ((level, text),) = node.take_lines()
    assert level == "warning"
    assert text.startswith("run.max_disk 0.5 GiB does not hold what was trained on since step_4, the oldest checkpoint")
