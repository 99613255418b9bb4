"""Keeps on disk what a deployment runs, so that a run that was stopped goes on as it began."""

from __future__ import annotations

import dataclasses
import uuid
from pathlib import Path

from chunk_ppo_ros import config as config_module
from chunk_ppo_ros.config import ChunkLengthConfig, TrainConfig
from chunk_ppo_ros.config.parameter_file import flatten
from chunk_ppo_ros.core.errors import SettingError, UserError
from chunk_ppo_ros.core.files.checked_json import read_checked_json, write_checked_json
from chunk_ppo_ros.core.files.disk_errors import usable
from chunk_ppo_ros.model.checkpoints.run_settings import PROMPTS
from chunk_ppo_ros.runtime.description import DEPLOYMENT_FILE

KEPT = (
    "deploy.checkpoints",
    "deploy.decoding",
    "model.temperature",
    "env.simulator",
    "env.task",
    "env.task_settings",
    "env.max_episode_chunks",
    "robot.control_rate",
    *(f"chunk_length.{field.name}" for field in dataclasses.fields(ChunkLengthConfig)),
    "run.seed",
    *PROMPTS,
)
"""The settings that must stay the same when a run goes on, because its episodes would not be comparable otherwise."""


@dataclasses.dataclass(frozen=True)
class DeployedRun:
    """What a deployment runs.

    Attributes:
        run_id: the identity of the run.
        settings: the values of the settings `KEPT`, by their names.
    """

    run_id: str
    settings: dict[str, object]

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """The folders of the checkpoints."""
        names = self.settings["deploy.checkpoints"]
        return tuple(map(str, names)) if isinstance(names, list) else ()

    @property
    def decoding(self) -> str:
        """How the policy chooses its tokens: greedy or sample."""
        return str(self.settings["deploy.decoding"])

    @classmethod
    def read(cls, folder: Path) -> DeployedRun:
        """Returns what the run in a folder runs.

        Raises:
            UserError: when the file is missing or damaged.
        """
        path = folder / DEPLOYMENT_FILE
        try:
            content = read_checked_json(path)
            run = cls(content["run_id"], {name: content["settings"][name] for name in KEPT})
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{path} must be the file of a run without a trainer, got {error!r}; begin a run of another name"
            ) from error
        return run

    @classmethod
    def begin_or_continue(cls, config: TrainConfig) -> DeployedRun:
        """Returns the run of a configuration, and writes its file where its folder has none yet.

        Raises:
            SettingError: when the run in the folder has other settings.
            UserError: when the file in the folder is damaged.
            DiskError: when the file cannot be written.
        """
        folder = config.run.folder
        settings = flatten(config_module.to_dict(config))
        wanted = {name: settings[name] for name in KEPT}
        if not (folder / DEPLOYMENT_FILE).exists():
            run = cls(uuid.uuid4().hex[:12], wanted)
            with usable(folder, "a folder whose files can be written"):
                write_checked_json(folder / DEPLOYMENT_FILE, dataclasses.asdict(run), indent=2)
            return run
        run = cls.read(folder)
        changed = [
            f"{name} {run.settings[name]!r} -> {wanted[name]!r}" for name in KEPT if run.settings[name] != wanted[name]
        ]
        if changed:
            raise SettingError(
                f"the run in {folder} must go on with the settings that it began with, got other ones: "
                f"{', '.join(changed)}; take those of the run, or another --exp_name"
            )
        return run
