"""The record of each ended episode of a deployment, and the file with one line for each."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.files.deployed_run import EPISODES
from chunk_ppo_ros.core.files.disk_errors import usable
from chunk_ppo_ros.core.files.durable_folders import make_folder, sync_folder

SUCCESS = "SUCCESS"
WITH_RESULT = (SUCCESS, "FAILURE", "TIME_LIMIT")
"""The outcomes that tell whether the policy solved the task. An episode that reaches its time limit has not."""


@dataclasses.dataclass(frozen=True)
class EpisodeRecord:
    """An ended episode.

    Attributes:
        episode: the number of the episode in its run.
        policy: which of the deployed checkpoints acted, 0 or 1.
        checkpoint: the folder of that checkpoint.
        version: the number under which the policy was announced.
        prompt: the task in words.
        seed: the seed of the simulated start.
        outcome: SUCCESS, FAILURE, TIME_LIMIT, DISCARDED, INTERRUPTED or NONE.
        intervened: whether a human took over.
        reward: the sum of the rewards of its chunks.
        num_chunks: the number of its executed chunks.
        started: the time of its start, ISO 8601 in UTC; empty where it did not start.
        ended: the time of its end, ISO 8601 in UTC.
        message: who or what ended it.
    """

    episode: int
    policy: int
    checkpoint: str
    version: int
    prompt: str
    seed: int
    outcome: str
    intervened: bool
    reward: float
    num_chunks: int
    started: str
    ended: str
    message: str

    @property
    def counts(self) -> bool:
        """Whether the episode counts in the result: it has one, and the policy alone acted."""
        return self.outcome in WITH_RESULT and not self.intervened

    @property
    def success(self) -> bool:
        """Whether the policy solved the task."""
        return self.outcome == SUCCESS

    def to_json(self) -> str:
        """Returns the line of the file, which also says whether the episode counts."""
        return json.dumps({**dataclasses.asdict(self), "counts": self.counts})

    @classmethod
    def from_json(cls, line: str) -> EpisodeRecord:
        """Returns the record of a line.

        Raises:
            ValueError: when the line is no record.
        """
        content = json.loads(line)
        names = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(content, dict) or not set(names) <= set(content):
            raise ValueError(f"it must have the fields {', '.join(names)}")
        return cls(**{name: content[name] for name in names})


class EpisodeFile:
    """The file of records, to which lines are added. Each one is on disk before the next episode ends.

    Args:
        folder: the folder of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / EPISODES

    def read(self) -> list[EpisodeRecord]:
        """Returns the records. A last line that a killed process left incomplete is not one of them.

        Raises:
            DiskError: when the file cannot be read.
            UserError: when another line is no record.
        """
        if not self.path.exists():
            return []
        with usable(self.path, "a file that can be read"):
            text = self.path.read_text(encoding="utf-8")
        *lines, _ = text.split("\n")  # What follows the last line end is incomplete.
        return [self._parse(number, line) for number, line in enumerate(lines, 1)]

    def add(self, record: EpisodeRecord) -> None:
        """Adds a record, and returns when it survives a power cut.

        Raises:
            OSError: when the file cannot be written.
        """
        make_folder(self.path.parent)
        is_new = not self.path.exists()
        with self.path.open("a+b") as file:
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
            file.write(record.to_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_folder(self.path.parent)

    def _parse(self, number: int, line: str) -> EpisodeRecord:
        try:
            return EpisodeRecord.from_json(line)
        except ValueError as error:
            raise UserError(
                f"line {number} of {self.path} must be the record of an episode, got {line!r} ({error}); "
                "remove the line"
            ) from error
