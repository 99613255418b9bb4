"""The type of a row in the table of metrics, and a condition that several rows share."""

from __future__ import annotations

import dataclasses

WITH_PROMPTS = "a run has several prompts (episode.prompts)"
"""The condition of metrics that are logged for each prompt."""


@dataclasses.dataclass(frozen=True)
class MetricRow:
    """The description of one metric.

    Attributes:
        name: logged name; "<term>" stands for a name that the user gives.
        unit: unit of the value; "share" is within 0..1.
        meaning: meaning of the value in one or two sentences.
        computed_in: file that computes the value, relative to the package.
        good: values that are good, or what to compare the value with.
        when: condition under which it is logged; empty where it is always logged.
    """

    name: str
    unit: str
    meaning: str
    computed_in: str
    good: str = ""
    when: str = ""
