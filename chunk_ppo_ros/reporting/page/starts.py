"""Keeps what the starts of a run say: the first one, and each one that went on with it."""

from __future__ import annotations

import dataclasses
from typing import Any

from chunk_ppo_ros.config.flags.run_start import RunStart
from chunk_ppo_ros.config.parameter_file import flatten
from chunk_ppo_ros.reporting.metrics_file import Record
from chunk_ppo_ros.reporting.page.changed_settings import present

_OF_THE_BEGINNING = ("pretrained_checkpoint_path", "asset_id", "tokenizer_dir", "on_load_failure")
"""The settings of the section `run` that decide what a run begins with. A run that goes on does not need them, so that
its newest start may not have them."""


@dataclasses.dataclass
class Starts:
    """The starts of a run. It holds two of their records, however many there are.

    Attributes:
        first: the record of the first start.
        newest: the record of the newest start.
        resumed_at: the policy version at each start after the first.
        given: the names of the settings that the user gave at any start, as in `RunStart.given`. They have those that
            a parameter file gave at an earlier start, and no longer gave at a later one.
    """

    first: Record
    newest: Record
    resumed_at: list[int]
    given: tuple[str, ...]

    @classmethod
    def begun_by(cls, record: Record) -> Starts:
        """Returns the starts of a run that has had one."""
        return cls(record, record, [], RunStart.of_record(record).given)

    def go_on(self, record: Record, *, version: int) -> None:
        """Takes the record of a start that went on with the run.

        Args:
            record: the record.
            version: the policy version that the run had reached.
        """
        before, now = RunStart.of_record(self.newest), RunStart.of_record(record)
        no_longer = (name for name in before.file if name not in now.file)
        self.given = tuple(dict.fromkeys((*self.given, *no_longer, *now.given)))
        self.newest = record
        self.resumed_at.append(version)

    @property
    def settings_to_begin_with(self) -> dict[str, Any]:
        """The settings of the newest start by section, with what the run began with: its checkpoint and tokenizers."""
        newest, run = self.newest["config"], self.first["config"]["run"]
        return {**newest, "run": {**newest["run"], **{name: run[name] for name in _OF_THE_BEGINNING if name in run}}}

    @property
    def changed(self) -> tuple[str, ...]:
        """The names of the settings that the newest start has otherwise than the first, but for how both began."""
        first, newest = flatten(present(self.first["config"])), flatten(present(self.settings_to_begin_with))
        both = [name for name in first if name in newest and name != "run.resume"]
        return tuple(name for name in both if first[name] != newest[name])
