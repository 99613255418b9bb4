"""What is said about one metric."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class MetricRow:
    """One metric.

    Attributes:
        name: under which it is logged; "<term>" stands for a name of the user's.
        unit: of the value; "share" is within 0..1.
        meaning: one or two sentences.
        computed_in: file, relative to the package.
        good: which values are good, or what the value is compared with.
        when: the condition under which it is logged; empty where it always is.
    """

    name: str
    unit: str
    meaning: str
    computed_in: str
    good: str = ""
    when: str = ""
