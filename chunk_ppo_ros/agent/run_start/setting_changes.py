"""Says which settings of a resumed run are other ones than before.

A checkpoint has the settings of its run. A checkpoint of an earlier release has those of its model alone, but the
run's `metrics.jsonl` has a record of all settings at each start.
"""

from __future__ import annotations

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.run_settings import RunSettings
from chunk_ppo_ros.reporting.metrics_file import FILE_NAME, NewestRun

_OF_THE_START = ("run.resume", "run.pretrained_checkpoint_path")


def changed_settings(settings: RunSettings, config: TrainConfig) -> tuple[str, ...]:
    """Returns one text for each setting that differs, without settings of how the run was started."""
    return tuple(change for change in settings.changes(config) if change.split()[0] not in _OF_THE_START)


def changes_since(newest: Checkpoint, config: TrainConfig) -> tuple[str, ...]:
    """Returns one line for each setting that a resumed run has otherwise than before, with both values.

    Args:
        newest: the checkpoint that the run goes on from.
        config: the configuration that it goes on with.
    """
    settings, source = newest.settings, newest.root.name
    if "ppo.learning_rate" not in settings.values:
        try:
            settings, source = _of_the_metrics(newest, config)
        except (OSError, ValueError, CheckpointError) as error:
            unknown = f"whether settings changed is not known, because {newest.root} does not say those of its run"
            return (f"{unknown}: {error}",)
    return tuple(f"changed since {source}: {change}" for change in changed_settings(settings, config))


def _of_the_metrics(newest: Checkpoint, config: TrainConfig) -> tuple[RunSettings, str]:
    """Returns the settings of the run's last start and a text that says where they are from.

    Raises:
        OSError, ValueError: when the file cannot be read, or is of another run.
        CheckpointError: when a value cannot be used by this release.
    """
    run_dir = config.run.folder
    run_id = newest.require_metadata().counters.run_id
    start = None
    for record in NewestRun.find(run_dir).records():
        if record["kind"] == "run" and record["run_id"] == run_id:
            start = record
    if start is None:
        raise ValueError(f"{run_dir / FILE_NAME} has no record of the run {run_id}")
    file = run_dir / FILE_NAME
    return RunSettings.read(file, start["config"]), f"the last start ({file})"
