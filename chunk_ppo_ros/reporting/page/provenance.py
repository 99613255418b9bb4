"""Says on a run's page how it was configured, where it came from, where its files are, and how to go on."""

from __future__ import annotations

import dataclasses
import time
import typing
from pathlib import Path

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.config.flags.run_start import RunStart
from chunk_ppo_ros.config.parameter_file import flatten
from chunk_ppo_ros.reporting.metrics_file import FILE_NAME
from chunk_ppo_ros.reporting.page.changed_settings import changes_from_preset, command_line, present
from chunk_ppo_ros.reporting.page.html import Html, joined, table, tag
from chunk_ppo_ros.reporting.page.run_data import RunData
from chunk_ppo_ros.reporting.progress.durations import duration_text

_FOLDERS = {
    "histograms.jsonl": "histograms of each update",
    "params.yaml": "settings, as the nodes got them",
    "episodes.json": "how far the episodes have come",
    "store": "stored chunks and transitions (docs/store.md)",
    "chunk_sample": "recent chunks for this page",
    "bag": "recorded topics",
    "logs": "logs of the nodes",
    "wandb": "files of wandb; wandb sync uploads them",
    "tensorboard": "curves for tensorboard --logdir",
    "summary.md": "this page in short, as text",
    "learning_curve.png": "learning curve as a picture",
}


def configuration(run: RunData) -> Html:
    """Returns the settings that differ from the nearest preset with their meaning, and all settings below."""
    name, changes = changes_from_preset(run.config)
    helps = _helps()
    rows = [
        (tag("code", key), shown(value), shown(before), helps.get(key, "")) for key, (value, before) in changes.items()
    ]
    changed: Html = (
        table(("setting", "this run", f"preset {name}", "meaning"), rows, kind="plain")
        if rows
        else tag("p", f"All settings are those of the preset {name}.")
    )
    flat = flatten(present(run.config))
    every = table(("setting", "value"), [(tag("code", key), shown(value)) for key, value in flat.items()], kind="plain")
    folded = tag("details", tag("summary", f"All {len(flat)} settings"), every)
    return joined([tag("p", f"The nearest preset is {name}. These settings differ from it:"), changed, folded])


def provenance(run: RunData) -> Html:
    """Returns facts of the run, its commands and the places of its files."""
    facts: list[tuple[object, object]] = [
        ("run", run.run_id),
        ("begun", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.begun))),
        ("duration", duration(run)),
        ("seed", run.config["run"].get("seed", "not recorded")),
        ("start", run.start.get("start") or "not recorded"),
        ("trained on", run.updates.trained_on),
        ("finished episodes", len(run.episodes)),
        ("software", software(run)),
    ]
    return joined(
        [
            table((), facts, kind="facts"),
            _commands(run),
            tag("h3", "Where things are"),
            table((), [(text, tag("code", path)) for text, path in places(run)], kind="facts"),
        ]
    )


def places(run: RunData) -> list[tuple[str, Path]]:
    """Returns the places of the checkpoints and of the files that are in the folder of the run, each with its name."""
    names = ("checkpoint_root", "checkpoint_dir", "exp_name")
    folder = config_lib.RunConfig(**{name: run.config["run"][name] for name in names}).checkpoint_folder
    rows = [("checkpoints", folder), ("metrics", run.folder / FILE_NAME)]
    return [*rows, *((text, run.folder / name) for name, text in _FOLDERS.items() if (run.folder / name).exists())]


def duration(run: RunData) -> str:
    """Returns how long the run has taken."""
    return "not recorded" if run.wall is None else duration_text(run.wall)


def software(run: RunData) -> str:
    """Returns the versions of what the run ran on."""
    return ", ".join(f"{key} {value}" for key, value in run.start.get("software", {}).items()) or "not recorded"


def run_command(run: RunData, *, resume: bool) -> str:
    """Returns the command that goes on with the run, or that makes it again; empty where none is recorded."""
    form = run.start.get("form")
    if form not in ("train", "graph"):
        return ""
    start = RunStart.of_record(run.start)
    return command_line(
        form,
        run.config if resume else run.starts.settings_to_begin_with,
        resume=resume,
        variables=run.start.get("variables", {}),  # Earlier versions did not record them.
        start=start,
        given=start.given if resume else run.starts.given,
    )


def going_on(run: RunData) -> str:
    """Returns what stands before the command that goes on with the run."""
    if run.is_complete:
        return "This run is complete. To go on with it, raise --total_timesteps in this command:"
    return "Go on with this run:"


def _commands(run: RunData) -> Html:
    go_on, again = run_command(run, resume=True), run_command(run, resume=False)
    if not go_on:
        return tag("p", "The record of this run does not say by which command it was started.", class_="soft")
    where = "Both commands are meant for the folder in which the run was started."
    file = RunStart.of_record(run.start).flags.get("params_file")
    if file is not None and "--params_file=" in go_on:
        where += f" They read {file} again, so that changes of that file count, but for those of robot and simulator."
    if changed := run.starts.changed:
        where += f" They have the settings of its newest start, which differ from the first in {', '.join(changed)}."
    return joined(
        [
            tag("h3", "Commands"),
            tag("p", going_on(run)),
            _unbroken(go_on),
            tag("p", "Make the same run again, under a name that is free:"),
            _unbroken(again),
            tag("p", where, class_="note"),
        ]
    )


def _unbroken(command: str) -> Html:
    """Returns a command that a narrow screen breaks between its words and not at hyphens."""
    return tag("pre", joined((tag("span", word) for word in command.split(" ")), " "))


def shown(value: object) -> str:
    """Returns the value of a setting as a page says it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "not set" if value is None else "empty" if value == "" else str(value)


def _helps() -> dict[str, str]:
    """Returns what each setting means, by its dotted name."""
    sections = typing.get_type_hints(config_lib.TrainConfig)
    return {
        f"{name}.{field.name}": str(field.metadata["help"])
        for name, section in sections.items()
        for field in dataclasses.fields(section)
    }
