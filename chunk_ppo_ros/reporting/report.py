"""Writes the report of a run: `report.html`, and in short `summary.md` and `learning_curve.png`."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from chunk_ppo_ros.core.atomic_file import write_atomically
from chunk_ppo_ros.core.units import probability_text
from chunk_ppo_ros.reporting import plots
from chunk_ppo_ros.reporting.curves.episodes import Episodes
from chunk_ppo_ros.reporting.curves.updates import Updates
from chunk_ppo_ros.reporting.metrics_file import Record
from chunk_ppo_ros.reporting.page.changed_settings import nearest_preset
from chunk_ppo_ros.reporting.page.headline import state
from chunk_ppo_ros.reporting.page.page import PAGE_NAME, write_page
from chunk_ppo_ros.reporting.page.provenance import duration, going_on, places, run_command, software
from chunk_ppo_ros.reporting.page.run_data import RunData
from chunk_ppo_ros.reporting.prompt_tables import evaluation_rows, prompt_table
from chunk_ppo_ros.reporting.time_section import time_section

PLOT_NAME = "learning_curve.png"
SUMMARY_NAME = "summary.md"


def write_report(run_dir: Path, *, is_over: bool = False) -> Path:
    """Writes the page, the learning curve and the summary of the newest run in `run_dir`. Returns the summary's path.

    Args:
        run_dir: the folder of the run.
        is_over: whether nothing is added to the run any more, although its process may not have ended yet.

    Raises:
        FileNotFoundError: when there are no metrics.
        ValueError: when the metrics cannot be read.
        OSError: when the folder cannot be written.
    """
    run = RunData.read(run_dir)
    run = dataclasses.replace(run, is_running=False) if is_over else run
    updates, episodes, config = run.updates, run.episodes, run.config
    plot = run.folder / PLOT_NAME
    plots.draw_learning_curve(
        plot,
        title=f"{run.name}: {config['env']['task']} on {config['env']['simulator']}",
        updates=updates,
        episodes=episodes,
        evaluations=run.evaluations,
        clip_range=run.clip_range,
    )
    sections = [
        f"# {run.name}\n\n" + _table(_facts(run)),
        _training(updates, episodes),
        prompt_table(episodes),
        time_section(run.timed, updates, in_lockstep=run.is_in_lockstep),
        _evaluations(run.evaluations),
        f"## Learning curve\n\n![Learning curve]({PLOT_NAME})",
        _go_on(run),
        "## Files\n\n" + _table(_places(run)),
    ]
    path = run.folder / SUMMARY_NAME
    text = "\n\n".join(section for section in sections if section) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()), durable=False)
    write_page(run, plot=plot)
    return path


def _facts(run: RunData) -> dict[str, str]:
    return {
        "run": run.run_id,
        "state": state(run, now=time.time()),
        "date": time.strftime("%Y-%m-%d %H:%M", time.localtime(run.begun)),
        "task": f"{run.config['env']['task']}, simulator {run.config['env']['simulator']}",
        "configuration": nearest_preset(run.config),
        "seed": str(run.config["run"].get("seed", "not recorded")),
        "start": _start(run.start),
        "trained on": run.updates.trained_on,
        "finished episodes": str(len(run.episodes)),
        "duration": duration(run),
        "software": software(run),
    }


def _training(updates: Updates, episodes: Episodes) -> str:
    """Returns a table that compares the first and the last part of the training."""
    if updates.first is None or updates.last is None or not len(episodes):
        return ""
    part, first, last = episodes.part, episodes.first, episodes.last
    rows = [
        ("episodes solved, sampled", f"{first.solved:.1%}", f"{last.solved:.1%}"),
        ("reward of an episode", f"{first.reward:.3f}", f"{last.reward:.3f}"),
    ]
    for name in ("value/explained_variance", "ratio/clip_fraction", "kl/approx", "logp_gap/max_ratio"):
        rows.append((f"`{name}`", _number(updates.first, name), _number(updates.last, name)))
    episode = "episode" if part == 1 else f"{part} episodes"
    header = f"| | first {episode}, first update | last {episode}, last update |\n|---|---|---|\n"
    return "## Training\n\n" + header + "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _number(record: Record, name: str) -> str:
    if name not in record:
        return "not recorded"
    return "undefined" if record[name] is None else f"{record[name]:.3g}"


def _evaluations(evaluations: Sequence[Record]) -> str:
    if not evaluations:
        return ""
    lines = ["## Evaluation", "", "Each checkpoint was measured on unseen starts. Brackets hold 95 % intervals.", ""]
    lines += ["| checkpoint | decoding | episodes | success | mean reward |", "|---|---|---|---|---|"]
    tests = []
    for record in evaluations:
        name = Path(record["evaluation/checkpoint"]).name
        success = f"{record['evaluation/success_mean']:.1%} {_interval(record, 'evaluation/success', '.1%')}"
        reward = f"{record['evaluation/reward_mean']:.3f} {_interval(record, 'evaluation/reward', '.3f')}"
        how = plots.decoding_text(record["evaluation/decoding"])
        lines.append(f"| {name} | {how} | {record['evaluation/episodes']} | {success} | {reward} |")
        lines += evaluation_rows(record)
        if "evaluation/p_greater" in record:
            tests.append(
                f"Success of {name} against the one before it, paired by start: "
                f"{100 * record['evaluation/difference']:+.1f} points, "
                f"p {probability_text(record['evaluation/p_greater'])} one-sided, "
                f"p {probability_text(record['evaluation/p_two_sided'])} two-sided."
            )
    return "\n".join([*lines, *([""] if tests else []), *tests])


def _interval(record: Record, metric: str, form: str) -> str:
    """Returns the 95 % interval of a metric, whose ends are recorded as `<metric>_low` and `<metric>_high`."""
    return f"[{record[f'{metric}_low']:{form}}, {record[f'{metric}_high']:{form}}]"


def _go_on(run: RunData) -> str:
    """Returns the command that goes on with the run, where its record says how it was started."""
    command = run_command(run, resume=True)
    where = "The command is meant for the folder in which the run was started."
    return f"## How to go on\n\n{going_on(run)}\n\n```bash\n{command}\n```\n\n{where}" if command else ""


def _places(run: RunData) -> dict[str, str]:
    """Returns the page and the places of the files of the run."""
    found = {text: f"`{path}`" for text, path in places(run)}
    return {"page for a browser": f"`{run.folder / PAGE_NAME}`", **found}


def _start(run: Record) -> str:
    """Returns where the first weights came from; bold where they replaced a checkpoint that could not be loaded."""
    start = run.get("start") or "not recorded"
    return f"**{start}**" if run.get("is_fallback") else start


def _table(facts: Mapping[str, str]) -> str:
    return "| | |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in facts.items())
