"""Makes the parts of a run's page that tell its prompts apart, where the run has several."""

from __future__ import annotations

from collections.abc import Sequence

from chunk_ppo_ros.reporting.metrics_file import Record

PROMPT = "episode/prompt"
"""The label of an episode's record that says its prompt. It is there where the run has several."""


def episodes_by_prompt(episodes: Sequence[Record]) -> dict[str, list[Record]]:
    """Returns the episodes of each prompt in the order in which the prompts came; empty where the run has only one."""
    found: dict[str, list[Record]] = {}
    for record in episodes:
        if PROMPT in record:
            found.setdefault(record[PROMPT], []).append(record)
    return found


HEADER = ("prompt", "episodes", "solved", "of the first", "of the last", "mean reward")
"""The head of the table of prompts."""


def prompt_table(episodes: Sequence[Record], *, window: int) -> str:
    """Returns the table of `prompt_rows` as a section of a Markdown file; empty where the run has only one prompt."""
    rows = prompt_rows(episodes, window=window)
    if not rows:
        return ""
    lines = ["## Prompts", ""]
    lines.append(f"The first and the last episodes of a prompt are up to {window}, and at most half of them.")
    lines += ["", f"| {' | '.join(HEADER)} |", f"|{'---|' * len(HEADER)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(_cell, row))} |" for row in rows)])


def prompt_rows(episodes: Sequence[Record], *, window: int) -> list[tuple[str, ...]]:
    """Returns the cells of a row for each prompt; none where the run has only one.

    Args:
        episodes: the records of kind "episode", in order.
        window: the largest number of episodes of a prompt that are its first or its last.
    """
    return [_row(prompt, records, window) for prompt, records in episodes_by_prompt(episodes).items()]


def _row(prompt: str, episodes: Sequence[Record], window: int) -> tuple[str, ...]:
    part = max(1, min(window, len(episodes) // 2))
    mean = sum(record["episode/total_reward"] for record in episodes) / len(episodes)
    shares = (f"{_share(records):.1%}" for records in (episodes, episodes[:part], episodes[-part:]))
    return (prompt, str(len(episodes)), *shares, f"{mean:.3f}")


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


def _share(episodes: Sequence[Record]) -> float:
    return float(sum(record["episode/success"] for record in episodes)) / len(episodes)


def _interval(record: Record, name: str, prompt: str, form: str) -> str:
    low, high = (record[f"evaluation/{name}_{end}/{prompt}"] for end in ("low", "high"))
    return f"[{low:{form}}, {high:{form}}]"


def _cell(text: str) -> str:
    """Returns a text as it stands in a table, in which a bar would end the cell."""
    return text.replace("|", "\\|")
