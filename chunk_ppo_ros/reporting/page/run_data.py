"""Reads what the metrics file of a run says, for its page."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chunk_ppo_ros.config.env import REAL_ROBOT
from chunk_ppo_ros.reporting.metrics_file import FILE_NAME, Record, read_records

_COUNTED = ("time", "num_chunks", "num_steps", "policy_version")
_NEEDED = {
    "run": ("run_id", "time", "config"),
    "update": _COUNTED,
    "episode": (*_COUNTED, "episode/episode", "episode/success", "episode/num_chunks"),
    "evaluation": (
        *(*_COUNTED, "evaluation/checkpoint", "evaluation/decoding", "evaluation/episodes"),
        *(f"evaluation/{name}_{end}" for name in ("success", "reward") for end in ("low", "mean", "high")),
    ),
}
"""What records have by their kinds, and what is never null. The page of a run is made of it."""


@dataclasses.dataclass(frozen=True)
class RunData:
    """The records of a run.

    Attributes:
        folder: folder of the run.
        records: all records, in the order of writing.
        runs: the records of its starts, at least one. The newest start is the last.
        updates: the records of its updates, each version once.
        episodes: the records of its episodes, each episode once.
        evaluations: the records of its evaluations.
    """

    folder: Path
    records: Sequence[Record]
    runs: Sequence[Record]
    updates: Sequence[Record]
    episodes: Sequence[Record]
    evaluations: Sequence[Record]

    @classmethod
    def read(cls, folder: Path) -> RunData:
        """Returns the newest run in a folder.

        Raises:
            FileNotFoundError: when there are no metrics.
            ValueError: when the metrics cannot be read, do not begin with the record of a start, or a record lacks what
                each of its kind has.
        """
        folder = Path(folder)
        records = read_records(folder)
        runs = [record for record in records if record["kind"] == "run"]
        if not runs:
            raise ValueError(
                f"{folder / FILE_NAME} must begin with a record of kind 'run', got none; was it written by hand?"
            )
        for record in records:
            _check(record, folder / FILE_NAME)
        return cls(
            folder=folder,
            records=records,
            runs=runs,
            updates=latest(records, "update", key="policy_version"),
            episodes=latest(records, "episode", key="episode/episode"),
            evaluations=[record for record in records if record["kind"] == "evaluation"],
        )

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.folder.resolve().name

    @property
    def run_id(self) -> str:
        """The identity of the run."""
        return str(self.runs[-1]["run_id"])

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings of the newest start, by section. An older version may have written them."""
        settings: Mapping[str, Any] = self.runs[-1]["config"]
        return settings

    @property
    def num_steps(self) -> int:
        """The number of control steps that the run has trained on."""
        return int(self.updates[-1]["num_steps"]) if self.updates else 0

    @property
    def total_steps(self) -> int:
        """The number of control steps after which the run is complete."""
        return int(self.config["ppo"]["total_timesteps"])

    @property
    def is_complete(self) -> bool:
        """Whether the run has trained on as many control steps as it was asked to."""
        return self.num_steps >= self.total_steps

    @property
    def is_in_lockstep(self) -> bool:
        """The same as `EnvConfig.is_lockstep`, from settings that may be of an older version."""
        env = self.config["env"]
        return env["simulator"] != REAL_ROBOT and not env.get("realtime")

    @property
    def clip_range(self) -> tuple[float, float]:
        """The same as `PPOConfig.clip_range`, from settings that may lack `clip_coef_high`."""
        ppo = self.config["ppo"]
        return 1.0 - ppo["clip_coef"], 1.0 + (ppo.get("clip_coef_high") or ppo["clip_coef"])


def latest(records: Sequence[Record], kind: str, *, key: str) -> list[Record]:
    """Returns the records of a kind. A record that was made again after a crash replaces the earlier one."""
    return list({record[key]: record for record in records if record["kind"] == kind}.values())


def _check(record: Record, path: Path) -> None:
    """Raises ValueError where a record lacks what each record of its kind has, whatever version wrote it."""
    kind = record["kind"]
    missing = [name for name in _NEEDED.get(kind, ()) if record.get(name) is None]
    if missing:
        raise ValueError(
            f"each record of kind '{kind}' in {path} must have {', '.join(missing)}, got one without; was it written "
            "by hand?"
        )
