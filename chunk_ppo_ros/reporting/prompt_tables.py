"""Makes the parts of a run's page that tell its prompts apart, where the run has several."""

from __future__ import annotations

from chunk_ppo_ros.reporting.curves.episodes import WINDOW, Episodes
from chunk_ppo_ros.reporting.metrics_file import Record

HEADER = ("prompt", "episodes", "solved", "of the first", "of the last", "mean reward")
"""The head of the table of prompts."""


def prompt_table(episodes: Episodes) -> str:
    """Returns the table of `prompt_rows` as a section of a Markdown file; empty where the run has only one prompt."""
    rows = prompt_rows(episodes)
    if not rows:
        return ""
    lines = ["## Prompts", ""]
    lines.append(f"The first and the last episodes of a prompt are up to {WINDOW}, and at most half of them.")
    lines += ["", f"| {' | '.join(HEADER)} |", f"|{'---|' * len(HEADER)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(_cell, row))} |" for row in rows)])


def prompt_rows(episodes: Episodes) -> list[tuple[str, ...]]:
    """Returns the cells of a row for each prompt; none where the run has only one."""
    return [_row(prompt, own) for prompt, own in episodes.by_prompt.items() if len(own)]


def _row(prompt: str, episodes: Episodes) -> tuple[str, ...]:
    shares = (f"{totals.solved:.1%}" for totals in (episodes.all, episodes.first, episodes.last))
    return (prompt, str(len(episodes)), *shares, f"{episodes.all.reward:.3f}")


def evaluation_rows(record: Record) -> list[str]:
    """Returns a row of the table of evaluations for each prompt; none where the run has only one."""
    start = "evaluation/success_mean/"
    prompts = [name.removeprefix(start) for name in record if name.startswith(start)]
    return [
        f"| {_cell(prompt)} | | {record[f'evaluation/episodes/{prompt}']} | "
        f"{record[f'{start}{prompt}']:.1%} {_interval(record, 'success', prompt, '.1%')} | "
        f"{record[f'evaluation/reward_mean/{prompt}']:.3f} {_interval(record, 'reward', prompt, '.3f')} |"
        for prompt in prompts
    ]


def _interval(record: Record, name: str, prompt: str, form: str) -> str:
    low, high = (record[f"evaluation/{name}_{end}/{prompt}"] for end in ("low", "high"))
    return f"[{low:{form}}, {high:{form}}]"


def _cell(text: str) -> str:
    """Returns a text as it stands in a table, in which a bar would end the cell."""
    return text.replace("|", "\\|")
