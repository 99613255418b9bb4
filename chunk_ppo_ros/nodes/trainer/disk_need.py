"""Says how much disk the stored transitions of a run need, and how much of it there is."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.units import GIBIBYTE
from chunk_ppo_ros.robot import aloha

_BYTES_PER_STEP = 400
"""What a control step adds to a transition: actions, commands, their causes and efforts. About that much is sent."""
_OTHER_BYTES = 4000
"""What a transition needs beside images and control steps: tokens, the prompt, states and names."""


@dataclasses.dataclass(frozen=True)
class DiskNeed:
    """The disk that the stored transitions of a run need.

    Attributes:
        per_transition: the size of one transition, bytes.
        per_hour: the size of what one robot makes in an hour if it never waits, bytes.
        budget: the size of the transitions that are kept, bytes.
    """

    per_transition: int
    per_hour: int
    budget: int

    @classmethod
    def of(cls, config: TrainConfig) -> DiskNeed:
        """Returns the need of a configuration, as its images and the length of its chunks make it."""
        steps = config.chunk_length.executed_steps or config.model.action_horizon
        images = len(aloha.CAMERAS) * 3 * config.model.image_size**2
        size = images + _BYTES_PER_STEP * config.model.action_horizon + _OTHER_BYTES
        per_hour = round(3600 * config.robot.control_rate / steps) * size
        return cls(size, per_hour, round(config.run.max_disk * GIBIBYTE))

    def is_met(self, folder: Path) -> bool:
        """Returns whether the disk of the folder of a run has room for what is kept."""
        stored = sum(path.stat().st_size for path in (folder / "store" / "journal").glob("*.log"))
        return free_bytes(folder) + stored >= self.budget

    def sentence(self, folder: Path) -> str:
        """Returns what is needed and what there is, in words.

        Args:
            folder: the folder of the run, which need not exist yet.
        """
        free, budget = free_bytes(folder), f"{self.budget / GIBIBYTE:g} GiB"
        text = (
            f"stored transitions need up to {self.per_hour / GIBIBYTE:.2f} GiB an hour for each robot "
            f"({self.per_transition / 1000:.0f} kB each); run.max_disk keeps {budget} of them, and "
            f"{free / GIBIBYTE:.1f} GiB are free for {folder}"
        )
        if self.is_met(folder):
            return text
        return f"{text}, which is less; lower run.max_disk, or the run will hold when the disk is full"


def free_bytes(folder: Path) -> int:
    """Returns the free space of the disk that a folder is on or will be on, bytes."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    return shutil.disk_usage(existing).free
