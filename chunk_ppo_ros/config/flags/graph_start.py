"""Tells trainer_node how its graph was started, beside the settings, so that the page of the run can say it.

The process that starts the graph writes it into a variable of the environment. It cannot be a parameter of the nodes,
because it belongs to none of them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

VARIABLE = "CHUNK_PPO_ROS_GRAPH_START"
"""The name of the environment variable."""


@dataclasses.dataclass(frozen=True)
class GraphStart:
    """What the user gave at the start of a graph that is no setting.

    Attributes:
        flags: the flags that are no settings, by their names, where they differ from their defaults.
        preset: the preset that the parameter file among these flags was read over; empty where there is no such file.
        file: the settings that this file gave, by their dotted names.
    """

    flags: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    preset: str = ""
    file: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The variable by which trainer_node learns of it."""
        return {VARIABLE: json.dumps(dataclasses.asdict(self))}

    @classmethod
    def of_environment(cls, environ: Mapping[str, str]) -> GraphStart:
        """Returns what the process that started the graph wrote; nothing where a node was started by hand.

        Args:
            environ: the variables of the environment.
        """
        return cls(**json.loads(environ.get(VARIABLE, "{}")))
