"""Lists the stages in which a checkpoint was made, from the first weights on, and reads and writes them as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from chunk_ppo_ros.core.made_from.data_record import DataRecord

FOREIGN, FRESH, IMITATION, TRAINING, EXPORT = "foreign", "fresh", "imitation", "training", "export"
"""The kinds of stages: weights of another program, random weights, imitation, reinforcement learning, and an export."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage in which a checkpoint was made.

    Attributes:
        kind: one of FOREIGN, FRESH, IMITATION, TRAINING and EXPORT.
        text: what was done, in words.
        checkpoint: the folder of the checkpoint that the stage made, or an empty text where it is not known.
        data: the data that was imitated; None for other stages.
    """

    kind: str
    text: str
    checkpoint: str = ""
    data: DataRecord | None = None

    def __str__(self) -> str:
        where = f" ({self.checkpoint})" if self.checkpoint else ""
        data = f"; {self.data}" if self.data is not None else ""
        return f"{self.kind}: {self.text}{where}{data}"


@dataclasses.dataclass(frozen=True)
class History:
    """The stages in which a checkpoint was made.

    Attributes:
        stages: the stages, the oldest first; empty where nothing is known.
    """

    stages: tuple[Stage, ...] = ()

    def then(self, stage: Stage) -> History:
        """Returns the history with one more stage."""
        return History((*self.stages, stage))

    def at(self, checkpoint: str) -> History:
        """Returns the history whose last stage made the checkpoint in a folder."""
        if not self.stages:
            return self
        return History((*self.stages[:-1], dataclasses.replace(self.stages[-1], checkpoint=checkpoint)))

    def newest_data(self, kind: str) -> DataRecord | None:
        """Returns the data of a kind that was imitated last, or None."""
        records = [stage.data for stage in self.stages if stage.data is not None and stage.data.kind == kind]
        return records[-1] if records else None

    def lines(self) -> tuple[str, ...]:
        """Returns one line for each stage, the oldest first."""
        return tuple(f"{number}. {stage}" for number, stage in enumerate(self.stages, 1))

    def to_json(self) -> dict[str, object]:
        """Returns what `of_json` reads."""
        return {"stages": [dataclasses.asdict(stage) for stage in self.stages]}

    @classmethod
    def of_json(cls, section: Mapping[str, object]) -> History:
        """Returns the history that `to_json` wrote. What a later release has added is left out.

        Raises:
            ValueError: where something is missing or has a wrong type.
        """
        stages = section.get("stages", [])
        if not isinstance(stages, list):
            raise ValueError(f"made_from.stages must be a list, got {stages!r}")
        return cls(tuple(_stage(entry) for entry in stages))


NO_HISTORY = History()
"""The history of a checkpoint of which nothing is known."""


def _stage(entry: object) -> Stage:
    if not isinstance(entry, dict):
        raise ValueError(f"a stage of made_from must be an object, got {entry!r}")
    record = entry.get("data")
    return Stage(
        kind=_text(entry, "kind"),
        text=_text(entry, "text"),
        checkpoint=_text(entry, "checkpoint"),
        data=None if record is None else _record(record),
    )


def _record(entry: object) -> DataRecord:
    if not isinstance(entry, dict):
        raise ValueError(f"the data of a stage of made_from must be an object, got {entry!r}")
    return DataRecord(
        kind=_text(entry, "kind"),
        origin=_text(entry, "origin"),
        fingerprint=_text(entry, "fingerprint"),
        episode_count=int(_number(entry, "episode_count")),
        step_count=int(_number(entry, "step_count")),
        rate=_number(entry, "rate"),
        prompts=_texts(entry, "prompts"),
        arm_order=_text(entry, "arm_order"),
        channel_order=_text(entry, "channel_order"),
        units=_texts(entry, "units"),
        gripper_convention=_text(entry, "gripper_convention"),
    )


def _text(entry: Mapping[str, object], name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str):
        raise ValueError(f"made_from must have a text {name}, got {value!r}")
    return value


def _texts(entry: Mapping[str, object], name: str) -> tuple[str, ...]:
    values = entry.get(name)
    if not isinstance(values, Sequence) or isinstance(values, str) or not all(isinstance(one, str) for one in values):
        raise ValueError(f"made_from must have a list of texts {name}, got {values!r}")
    return tuple(values)


def _number(entry: Mapping[str, object], name: str) -> float:
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"made_from must have a number {name}, got {value!r}")
    return float(value)
