"""Writes the ages of sensors into a status on `/diagnostics`, and reads them from it.

Only those nodes that read a sensor anyway know its age. Other programs learn it from their statuses, so that nobody has
to subscribe to images for it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping

from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.nodes.common.status.diagnostics import Value

AGE = "age of "
TOPIC = "topic of "


@dataclasses.dataclass(frozen=True)
class SensorAge:
    """How old the newest reading of a sensor is.

    Attributes:
        name: the name of a camera, or an arm such as "left arm" or "left leader".
        seconds: the ROS time since the stamp of its newest reading, s; NaN where there is no reading yet.
        topic: the name of the topic, or of the topics that it may send on; empty where it is not told.
    """

    name: str
    seconds: float
    topic: str = ""


def age_of(name: str, stamp: int | None, *, now: int, topic: str = "") -> SensorAge:
    """Returns the age of a sensor.

    Args:
        name: the name of the sensor.
        stamp: the stamp of its newest reading, ns; None before any.
        now: the ROS time, ns.
        topic: where it sends.
    """
    return SensorAge(name, math.nan if stamp is None else (now - stamp) / NANOSECONDS, topic)


def age_values(ages: Iterable[SensorAge]) -> dict[str, Value]:
    """Returns keys and values for a status, one or two for each sensor. The age, s, is nan where it is not known."""
    values: dict[str, Value] = {}
    for age in ages:
        values[f"{AGE}{age.name}"] = round(age.seconds, 3)
        if age.topic:
            values[f"{TOPIC}{age.name}"] = age.topic
    return values


def read_ages(values: Mapping[str, str]) -> tuple[SensorAge, ...]:
    """Returns the ages of all sensors that the keys and values of a status tell. Other keys are left out."""
    names = [key.removeprefix(AGE) for key in values if key.startswith(AGE)]
    return tuple(SensorAge(name, _seconds(values[f"{AGE}{name}"]), values.get(f"{TOPIC}{name}", "")) for name in names)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
