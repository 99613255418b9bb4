"""Writes the findings of the command `inspect` as text for people, and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from chunk_ppo_ros.core.findings.verdicts import DataFinding, Verdict, counts, lines
from chunk_ppo_ros.data.checks.survey import EpisodeSummary, Survey

FORMAT = 1
"""The version of the JSON object. It counts up when the meaning of a key changes."""

MAX_EPISODES = 20
"""The number of episodes that the text lists."""

Groups = Mapping[str, Sequence[DataFinding]]
"""Findings by the name of their group."""


def as_text(groups: Groups, survey: Survey) -> str:
    """Returns a heading for each group, a line for each finding with what to do below it, and the last line."""
    written: list[str] = []
    for group, findings in ((group, findings) for group, findings in groups.items() if findings):
        written += ["", group, *(line for finding in findings for line in lines(finding))]
        if group == "recordings":
            written += _episode_lines(survey.episodes)
    summary = ", ".join(f"{number} {verdict}" for verdict, number in counts(_flat(groups)).items())
    return "\n".join([*written[1:], "", f"{summary}. {next_step(groups)}"])


def as_json(groups: Groups, survey: Survey) -> str:
    """Returns a JSON object with `format`, `counts` by verdict, `findings`, `episodes`, `left_out` and `next`.

    Each finding has `group`, `key`, `verdict` (fine, ask or refuse), `found`, `advice`, `details` (lines of text) and
    `values` (numbers by name). Angles are in rad, times in s unless the name says otherwise.
    """
    found = [
        {
            "group": group,
            "key": finding.key,
            "verdict": finding.verdict.value,
            "found": finding.found,
            "advice": finding.advice,
            "details": list(finding.details),
            "values": dict(finding.values),
        }
        for group, findings in groups.items()
        for finding in findings
    ]
    episodes = [_episode_values(episode) for episode in survey.episodes]
    left_out = [{"source": each.source, "reason": each.reason} for each in survey.left_out]
    content = {
        "format": FORMAT,
        "counts": counts(_flat(groups)),
        "findings": found,
        "episodes": episodes,
        "left_out": left_out,
        "next": next_step(groups),
    }
    return json.dumps(content, indent=2)


def next_step(groups: Groups) -> str:
    """Returns the last line, which says what to do next."""
    number = {verdict: sum(f.verdict is verdict for f in _flat(groups)) for verdict in Verdict}
    if number[Verdict.REFUSE]:
        return "Mend or leave out what is refused, by the flags behind the arrows, and run inspect again with them."
    if number[Verdict.ASK]:
        return "Answer what is asked by the flags behind the arrows, and run inspect again with them."
    return "Nothing is open: give pretrain or norm-stats the same paths and flags."


def has_open(groups: Groups) -> bool:
    """Returns whether something is asked or refused."""
    return any(finding.is_open for finding in _flat(groups))


def _flat(groups: Groups) -> list[DataFinding]:
    return [finding for findings in groups.values() for finding in findings]


def _episode_lines(episodes: Sequence[EpisodeSummary]) -> list[str]:
    marks = {True: "success", False: "failure", None: "no mark"}
    written = [
        f"          {episode.source}: {episode.num_steps} steps, {episode.num_steps / episode.rate:.2f} s, "
        f"{marks[episode.success]}"
        for episode in episodes[:MAX_EPISODES]
    ]
    more = len(episodes) - MAX_EPISODES
    return [*written, f"          and {more} more (--json lists all)"] if more > 0 else written


def _episode_values(episode: EpisodeSummary) -> dict[str, object]:
    return {
        "source": episode.source,
        "num_steps": episode.num_steps,
        "rate": episode.rate,
        "prompt": episode.prompt,
        "success": episode.success,
        "cameras": list(episode.cameras),
        "idle_start": episode.idle_steps[0] / episode.rate,
        "idle_end": episode.idle_steps[1] / episode.rate,
    }
