"""Makes the top of a run's page: how far the run is, what came of it, and what is wrong."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from chunk_ppo_ros.core.units import probability_text
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.reporting.curves.updates import Updates
from chunk_ppo_ros.reporting.metrics_file import Record
from chunk_ppo_ros.reporting.page.html import Html, joined, table, tag
from chunk_ppo_ros.reporting.page.run_data import RunData
from chunk_ppo_ros.reporting.plots import decoding_text

_MAX_STARTS = 10
"""The largest number of starts that are listed."""
_DATE = "%Y-%m-%d %H:%M:%S"
_RUNNING = {
    True: "It was running when this page was written.",
    False: "It no longer runs.",
    None: "It still runs, or was stopped.",
}
"""What is said of a run that is not complete, by what is known of its process."""


def headline(run: RunData, *, now: float) -> Html:
    """Returns the state of the run, its successes, and warnings.

    Args:
        run: the run.
        now: time at which the page is written, s since 1970.
    """
    return joined([tag("p", state(run, now=now)), tag("div", *_cards(run), class_="cards"), *_warnings(run)])


def state(run: RunData, *, now: float) -> str:
    """Returns sentences that say how far the run is, whether it was resumed, and how old its newest record is."""
    done = f"{run.num_steps} of {count_of(run.total_steps, 'control step')} in {count_of(len(run.updates), 'update')}"
    complete = f"The run is complete: it has trained on {done}."
    partial = f"The run is not complete: it has trained on {done}. {_RUNNING[run.is_running]}"
    newest = time.strftime(_DATE, time.localtime(run.newest))
    written = time.strftime(_DATE, time.localtime(now))
    sentences = [complete if run.is_complete else partial, resumed(run)]
    sentences.append(f"Its newest record is of {newest}, and this page of {written}.")
    return " ".join(sentence for sentence in sentences if sentence)


def resumed(run: RunData) -> str:
    """Returns a sentence that says how often the run was resumed and where; empty where it was not."""
    versions = run.starts.resumed_at
    count, shown = len(versions), versions[-_MAX_STARTS:]
    if not count:
        return ""
    at = ", ".join(map(str, shown))
    times = "once" if count == 1 else f"{count} times"
    newest = "" if count <= _MAX_STARTS else f"the last {_MAX_STARTS} times "
    return f"It was resumed {times}, {newest}at policy version {at}."


def _cards(run: RunData) -> list[Html]:
    cards = [_evaluation_card(record) for record in _first_and_last(run.evaluations)]
    episodes, updates = run.episodes, run.updates
    if len(episodes):
        number = count_of(len(episodes), "episode")
        text = f"solved while training, sampled: the first and the last {episodes.part} of {number}"
        cards.append(_card(f"{episodes.first.solved:.1%} → {episodes.last.solved:.1%}", text))
    else:
        cards.append(_card("–", "solved while training, sampled: no episode has ended yet"))
    if updates.first is not None and updates.last is not None:
        reward = " → ".join(_number(record, "reward/chunk_mean") for record in (updates.first, updates.last))
        cards.append(_card(reward, "mean reward of a chunk in the first and the last rollout"))
    return cards


def _first_and_last(evaluations: Sequence[Record]) -> list[Record]:
    return [evaluations[0], evaluations[-1]] if len(evaluations) > 1 else list(evaluations)


def _evaluation_card(record: Record) -> Html:
    low, high = record["evaluation/success_low"], record["evaluation/success_high"]
    how = decoding_text(record["evaluation/decoding"])
    text = (
        f"solved in the evaluation of {Path(record['evaluation/checkpoint']).name}, {how}: "
        f"{record['evaluation/episodes']} unseen starts, 95 % interval {low:.1%} to {high:.1%}"
    )
    return _card(f"{record['evaluation/success_mean']:.1%}", text)


def _card(big: str, text: str) -> Html:
    return tag("div", tag("span", big, class_="big"), tag("span", text, class_="soft"), class_="card")


def _number(record: Record, name: str) -> str:
    value = record.get(name)
    return "not a number" if value is None else f"{value:.3f}"


def _warnings(run: RunData) -> list[Html]:
    """Returns what a reader should know before reading on."""
    texts = []
    if run.start.get("is_fallback"):
        texts.append(f"The run did not start from the checkpoint that was asked for: {run.start.get('start')}.")
    if len(run.episodes) and run.episodes.all.solved == 0.0:
        texts.append(
            f"None of {count_of(len(run.episodes), 'episode')} was solved. Chunk PPO improves a policy that solves "
            "some episodes; docs/tune.md says from which share on."
        )
    if undone := run.updates.num_not_kept:
        texts.append(f"Updates that were not kept, so that they changed no weights: {undone} of {len(run.updates)}.")
    texts += _not_numbers(run.updates)
    return [tag("p", text, class_="warning") for text in texts]


def _not_numbers(updates: Updates) -> list[str]:
    """Returns a sentence that names the metrics which were not finite in some updates; none where all were."""
    if not updates.nulls:
        return []
    named = ", ".join(f"{name} in {count}" for name, count in updates.nulls.items())
    of = count_of(len(updates), "update")
    return [f"Some metrics were not finite numbers, of {of}: {named}. Curves leave these out."]


def evaluation_table(evaluations: Sequence[Record]) -> Html:
    """Returns a table of the evaluations, with the paired tests below it."""
    rows = []
    tests = []
    for record in evaluations:
        name = Path(record["evaluation/checkpoint"]).name
        rows.append(
            (
                name,
                decoding_text(record["evaluation/decoding"]),
                record["evaluation/episodes"],
                _interval(record, "success", ".1%"),
                _interval(record, "reward", ".3f"),
            )
        )
        if "evaluation/p_greater" in record:
            tests.append(
                f"{name} against the one before it, paired by start: "
                f"{100 * record['evaluation/difference']:+.1f} points, "
                f"p {probability_text(record['evaluation/p_greater'])} one-sided, "
                f"p {probability_text(record['evaluation/p_two_sided'])} two-sided."
            )
    header = ("checkpoint", "decoding", "unseen starts", "success [95 % interval]", "mean reward [95 % interval]")
    return joined([table(header, rows, kind="plain"), *(tag("p", text) for text in tests)])


def _interval(record: Record, name: str, form: str) -> str:
    low, mean, high = (record[f"evaluation/{name}_{end}"] for end in ("low", "mean", "high"))
    return f"{mean:{form}} [{low:{form}}, {high:{form}}]"
