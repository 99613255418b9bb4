"""Keeps what a user gave at the start of a run, so that the page of the run can print the command again.

The values of the settings are no part of it. They are recorded beside it, and say neither which of them the user gave
nor which flags without a setting there were.

The process that starts a graph hands it to trainer_node in a variable of the environment. It cannot be a parameter of
the nodes, because it belongs to none of them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

VARIABLE = "CHUNK_PPO_ROS_RUN_START"
"""The name of the environment variable."""


@dataclasses.dataclass(frozen=True)
class RunStart:
    """What the user gave at the start of a run, beside the values of settings.

    Attributes:
        flags: the flags that are no settings, by their names, where they differ from their defaults. `--model` is one
            of them, because it stands for many settings.
        preset: the preset that the parameter file among these flags was read over; empty where there is no such file,
            and where it was read over none.
        file: the settings that this file gave, by their dotted names.
        given: the dotted names of the settings that flags gave, also where they gave the preset's value. "model" stands
            for all settings of its section. It is empty where an earlier version did not record them.
    """

    flags: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    preset: str = ""
    file: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    given: tuple[str, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """The variable by which trainer_node learns of it."""
        return {VARIABLE: json.dumps(dataclasses.asdict(self))}

    @classmethod
    def of_environment(cls, environ: Mapping[str, str]) -> RunStart:
        """Returns what the process that started the graph wrote; nothing where a node was started by hand.

        Args:
            environ: the variables of the environment.
        """
        return cls._of(json.loads(environ.get(VARIABLE, "{}")))

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> RunStart:
        """Returns what the record of a start in `metrics.jsonl` says; nothing where an earlier version wrote it.

        Args:
            record: the record. Some versions wrote "graph_start".
        """
        return cls._of(record.get("run_start", record.get("graph_start", {})))

    @classmethod
    def _of(cls, values: Mapping[str, Any]) -> RunStart:
        return cls(**{**values, "given": tuple(values.get("given", ()))})
