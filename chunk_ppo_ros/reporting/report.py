"""Writes the page of a run, `summary.md`, and its plot, `learning_curve.png`, both from `metrics.jsonl`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.config.env import REAL_ROBOT
from chunk_ppo_ros.config.parameter_file import flatten
from chunk_ppo_ros.config.renamed import carry_over
from chunk_ppo_ros.core.atomic_file import write_atomically
from chunk_ppo_ros.core.units import probability_text
from chunk_ppo_ros.reporting import plots
from chunk_ppo_ros.reporting.metrics_file import FILE_NAME, Record, read_records
from chunk_ppo_ros.reporting.prompt_tables import evaluation_rows, prompt_table
from chunk_ppo_ros.reporting.time_section import time_section

PLOT_NAME = "learning_curve.png"
SUMMARY_NAME = "summary.md"


def write_report(run_dir: Path) -> Path:
    """Writes the learning curve and the summary of the newest run in `run_dir`, and returns the summary's path.

    Raises:
        FileNotFoundError: when there are no metrics.
        ValueError: when the metrics cannot be read.
        OSError: when the folder cannot be written.
    """
    run_dir = Path(run_dir)
    records = read_records(run_dir)
    runs = [record for record in records if record["kind"] == "run"]
    if not runs:
        raise ValueError(
            f"{run_dir / FILE_NAME} must begin with a record of kind 'run', got none; was it written by hand?"
        )
    updates = latest(records, "update", key="policy_version")
    episodes = latest(records, "episode", key="episode/episode")
    evaluations = [record for record in records if record["kind"] == "evaluation"]
    config = runs[-1]["config"]
    plots.draw_learning_curve(
        run_dir / PLOT_NAME,
        title=f"{run_dir.name}: {config['env']['task']} on {config['env']['simulator']}",
        updates=updates,
        episodes=episodes,
        evaluations=evaluations,
        clip_range=_clip_range(config["ppo"]),
    )
    sections = [
        f"# {run_dir.name}\n\n" + _table(_facts(runs, updates, episodes)),
        _training(updates, episodes),
        prompt_table(episodes, window=plots.WINDOW),
        time_section(records, updates, in_lockstep=_is_in_lockstep(config["env"])),
        _evaluations(evaluations),
        f"## Learning curve\n\n![Learning curve]({PLOT_NAME})",
        "## Files\n\n" + _table(_places(run_dir, config)),
    ]
    path = run_dir / SUMMARY_NAME
    text = "\n\n".join(section for section in sections if section) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()), durable=False)
    return path


def _clip_range(ppo: Mapping[str, Any]) -> tuple[float, float]:
    """Returns the same range as `PPOConfig.clip_range`, from settings that may lack `clip_coef_high` (old runs)."""
    return 1.0 - ppo["clip_coef"], 1.0 + (ppo.get("clip_coef_high") or ppo["clip_coef"])


def _is_in_lockstep(env: Mapping[str, Any]) -> bool:
    """Returns the same as `EnvConfig.is_lockstep`, from settings that may be of an older version."""
    return env["simulator"] != REAL_ROBOT and not env.get("realtime")


def nearest_preset(settings: Mapping[str, Any]) -> str:
    """Returns the preset that differs in the fewest settings, with these settings: "debug with ppo.gamma=0.9".

    The section `run` is not compared.
    """
    flat = _without_run(_present(settings))
    candidates = []
    for name, preset in config_lib.PRESETS.items():
        other = _without_run(config_lib.to_dict(preset))
        differing = [f"{key}={value}" for key, value in flat.items() if other.get(key) != value]
        candidates.append((len(differing), name, differing))
    _, name, differing = min(candidates)
    return f"{name} with {', '.join(differing)}" if differing else name


def _present(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the settings of an earlier version under their present names, or as they are where that is impossible."""
    try:
        return carry_over(settings)[0]
    except ValueError:
        return settings  # The page then shows the old names.


def _without_run(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values by dotted name, without the section `run`."""
    return flatten({name: section for name, section in settings.items() if name != "run"})


def latest(records: Sequence[Record], kind: str, *, key: str) -> list[Record]:
    """Returns the records of a kind. A record that was made again after a crash replaces the earlier one."""
    return list({record[key]: record for record in records if record["kind"] == kind}.values())


def _facts(runs: Sequence[Record], updates: Sequence[Record], episodes: Sequence[Record]) -> dict[str, str]:
    run, last = runs[-1], updates[-1] if updates else {"num_chunks": 0, "num_steps": 0, "policy_version": 0}
    config = run["config"]
    return {
        "run": run["run_id"] + (f" (resumed {len(runs) - 1} times)" if len(runs) > 1 else ""),
        "date": time.strftime("%Y-%m-%d %H:%M", time.localtime(runs[0]["time"])),
        "task": f"{config['env']['task']}, simulator {config['env']['simulator']}",
        "configuration": nearest_preset(config),
        "start": _start(run),
        "trained on": "{policy_version} updates, {num_chunks} chunks, {num_steps} control steps".format_map(last),
        "finished episodes": str(len(episodes)),
    }


def _training(updates: Sequence[Record], episodes: Sequence[Record]) -> str:
    """Returns a table that compares the first and the last part of the training."""
    if not updates or not episodes:
        return ""
    part = max(1, min(plots.WINDOW, len(episodes) // 2))
    rows = [
        ("episodes solved", _share(episodes[:part]), _share(episodes[-part:])),
        ("reward of an episode", _reward(episodes[:part]), _reward(episodes[-part:])),
    ]
    for name in ("value/explained_variance", "ratio/clip_fraction", "kl/approx", "logp_gap/max_ratio"):
        rows.append((f"`{name}`", _number(updates[0], name), _number(updates[-1], name)))
    header = f"| | first {part} episodes, first update | last {part} episodes, last update |\n|---|---|---|\n"
    return "## Training\n\n" + header + "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _share(episodes: Sequence[Record]) -> str:
    return f"{sum(record['episode/success'] for record in episodes) / len(episodes):.1%}"


def _reward(episodes: Sequence[Record]) -> str:
    return f"{sum(record['episode/total_reward'] for record in episodes) / len(episodes):.3f}"


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
        lines.append(
            f"| {name} | {record['evaluation/decoding']} | {record['evaluation/episodes']} | {success} | {reward} |"
        )
        lines += evaluation_rows(record)
        if "evaluation/p_greater" in record:
            tests.append(
                f"Success of {name} against the one before it, paired by start: "
                f"{record['evaluation/difference']:+.1%}, "
                f"p {probability_text(record['evaluation/p_greater'])} one-sided, "
                f"p {probability_text(record['evaluation/p_two_sided'])} two-sided."
            )
    return "\n".join([*lines, *([""] if tests else []), *tests])


def _interval(record: Record, metric: str, form: str) -> str:
    """Returns the 95 % interval of a metric, whose ends are recorded as `<metric>_low` and `<metric>_high`."""
    return f"[{record[f'{metric}_low']:{form}}, {record[f'{metric}_high']:{form}}]"


def _places(run_dir: Path, config: Mapping[str, Any]) -> dict[str, str]:
    names = ("checkpoint_root", "checkpoint_dir", "exp_name")
    run = config_lib.RunConfig(**{name: config["run"][name] for name in names})
    return {"metrics": f"`{run_dir / FILE_NAME}`", "checkpoints": f"`{run.checkpoint_folder}`"}


def _start(run: Record) -> str:
    """Returns where the first weights came from; bold where they replaced a checkpoint that could not be loaded."""
    start = run.get("start") or "not recorded"
    return f"**{start}**" if run.get("is_fallback") else start


def _table(facts: Mapping[str, str]) -> str:
    return "| | |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in facts.items())
