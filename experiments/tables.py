"""Writes the text of docs/results/README.md.

It says what each experiment reached, with every seed, and which variants are better or worse than the default.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np

from chunk_ppo_ros.evaluation.statistics import PairedTest, paired_test
from experiments.definitions import DEFAULT, EXPERIMENTS, TUNING_SEED, VARIANTS
from experiments.results import GOAL, Result

CHANCE = 0.05
"""The smallest p-value at which a difference is not called clear."""

_WIDTH = 120
"""The longest line of the page, but for tables, which cannot be wrapped."""

_AGAINST = (
    "Each variant is compared with the default on the starts of the seeds that both have. Differences are in "
    "percentage points of success. p holds for these trained policies on such starts. It does not contain how much "
    "training differs from seed to seed. Look therefore at the number of seeds in which the difference is seen. "
    f"No clear difference means that p is at least {CHANCE}:"
)

Grouped = Mapping[str, Mapping[str, Sequence[Result]]]

_HEAD = f"""# Results

`make report` writes this page from the JSON files below this folder. `make experiment` leaves one for each curve.

- **Start** means the state of the scene in which an episode begins.
- **Success** before and after is measured with one way of decoding on the same starts. No training, no demonstration
  and no choice has seen them. The points between are measured on validation starts.
- **p** is that of McNemar's exact test: the probability of such a difference on these starts if neither is better.
- **"To {GOAL:.0%}"** is the first point with at least that success. Where not all seeds have one, the cell says how
  many do.
- **Minutes** are those of training: rollouts, updates, checkpoints and compiling, without imitation and evaluations.
- **Load** is the load average, which counts busy processes. It shows whether a curve had the machine to itself: a curve
  alone keeps at most as many processes busy as the machine has cores.
- **Largest k2** is the largest `kl/after` of an update, in nats a chunk. It is half the mean squared log-ratio of a
  chunk after the update. An update above `ppo.max_kl` is undone. The field is empty where the release of that time did
  not record it.
- **Largest k3** is the largest `kl/approx` of an update, in nats a chunk. It is the mean of another estimate of the KL
  over the gradient steps. `ppo.max_kl` does not limit it, and one rare token can make it large.
- **Undone** counts attempts at updates whose k2 was above `ppo.max_kl`. Each was made again at a lower learning rate.
  **Accepted** is the share of updates that were kept in the end.
"""


def page(grouped: Grouped) -> str:
    """Returns the whole page."""
    if not grouped:
        return _HEAD + "\nThere are no results yet.\n"
    parts = [_HEAD, *(_experiment(name, variants) for name, variants in grouped.items())]
    return "\n".join("\n".join(map(wrapped, part.split("\n"))) for part in parts)


def wrapped(line: str) -> str:
    """Returns a line of the page as lines that are not too long. What continues an item of a list is indented.

    No line begins with what Markdown would take for an item of a list, such as "1) " of "(seed 1) after".
    """
    if line.startswith(("|", "#", "!")):
        return line
    indent = "  " if line.startswith("- ") else ""
    joined = re.sub(r"(?<=.) (?=(?:\d+[.)]|[-+*]) )", "\xa0", line)
    filled = textwrap.fill(joined, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return filled.replace("\xa0", " ")


def reported(variants: Mapping[str, Sequence[Result]], *, tuning: bool = False) -> dict[str, list[Result]]:
    """Returns the variants that have results, with these results.

    Args:
        variants: all results of each variant.
        tuning: whether to return the results of the tuning seed alone. Otherwise they are left out.
    """
    chosen = {
        variant: [one for one in results if (one.seed == TUNING_SEED) == tuning]
        for variant, results in variants.items()
    }
    return {variant: results for variant, results in chosen.items() if results}


def _experiment(name: str, everything: Mapping[str, Sequence[Result]]) -> str:
    variants, tuned = reported(everything), reported(everything, tuning=True)
    parts = [f"## {name}"]
    if variants:
        parts += _evidence(name, variants)
    if tuned:
        parts += [f"### Grids, at seed {TUNING_SEED}, which no other curve has", _overview(tuned)]
    return "\n\n".join(parts) + "\n"


def _evidence(name: str, variants: Mapping[str, Sequence[Result]]) -> list[str]:
    parts = [*settings_paragraphs(variants), _overview(variants)]
    verdicts = [verdict(variant, results, variants[DEFAULT]) for variant, results in _others(variants)]
    if verdicts:
        parts.append(_AGAINST + "\n\n" + "\n".join(verdicts))
    return [*parts, f"![Curves of {name}]({name}.png)", "### Each seed", seeds_table(variants)]


def _others(variants: Mapping[str, Sequence[Result]]) -> list[tuple[str, Sequence[Result]]]:
    return [(variant, results) for variant, results in variants.items() if variant != DEFAULT and DEFAULT in variants]


def settings_paragraphs(variants: Mapping[str, Sequence[Result]]) -> list[str]:
    """Returns how the initial policies were made and how success is measured.

    The first paragraph is that of the first variant. Each further one names the variants that differ from it.
    """
    by_text: dict[str, list[str]] = {}
    for variant, results in variants.items():
        for text in dict.fromkeys(_setting(result) for result in results):
            by_text.setdefault(text, []).append(variant)
    (first, _), *others = by_text.items()
    return [first, *(f"This differs for {', '.join(names)}: {text}" for text, names in others)]


def _setting(result: Result) -> str:
    env = EXPERIMENTS[result.name].config.env
    start = result.start
    candidates = ", ".join(f"{success:.0%} after {steps}" for steps, success in start["candidates"].items())
    settings = f" ({', '.join(env.task_settings)})" if env.task_settings else ""
    return (
        f"Task {env.task}{settings} on the {env.simulator} simulator, up to {env.max_episode_chunks} chunks. "
        f"The initial policy is an imitation of {start['demonstrations']} demonstrations (seed {start['seed']}) after "
        f"{start['gradient_steps']} gradient steps. It solves {start['success']:.1%} of {start['validation_episodes']} "
        f"validation starts. Candidates solved {candidates} steps. "
        f"Evaluations decode {'greedily' if result.after['decoding'] == 'greedy' else 'by sampling'}, on "
        f"{len(result.after['outcomes'])} starts."
    )


def _overview(variants: Mapping[str, Sequence[Result]]) -> str:
    lines = [
        f"| variant | what differs | seeds | success before | after: mean (worst) | chunks to {GOAL:.0%} | "
        f"minutes to {GOAL:.0%} | chunks | minutes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for variant, results in variants.items():
        before, after = ([getattr(one, stage)["success"] for one in results] for stage in ("before", "after"))
        cells = [
            f"**{variant}**" if variant == DEFAULT else variant,
            VARIANTS[variant].why,
            str(len(results)),
            f"{np.mean(before):.1%}",
            f"{np.mean(after):.1%} ({min(after):.1%})",
            _to_goal([one.chunks_to_goal for one in results], "{:.0f}"),
            _to_goal([one.minutes_to_goal for one in results], "{:.1f}"),
            f"{np.mean([one.chunks for one in results]):.0f}",
            f"{np.mean([one.minutes for one in results]):.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _to_goal(values: Sequence[float | None], form: str) -> str:
    """Returns the mean over the seeds that reached the goal, and how many did where not all did."""
    reached = [value for value in values if value is not None]
    if not reached:
        return "never"
    mean = form.format(np.mean(reached))
    return mean if len(reached) == len(values) else f"{mean} ({len(reached)} of {len(values)} seeds)"


def verdict(variant: str, results: Sequence[Result], default: Sequence[Result]) -> str:
    """Returns one line that says whether the variant is better or worse than the default, and how sure that is."""
    pairs = [(plain, varied) for varied in results for plain in default if plain.seed == varied.seed]
    if not pairs:
        return f"- {variant}: it is not compared, because it has no seed in common with the default."
    test = _compare(pairs)
    gains = [varied.after["success"] - plain.after["success"] for plain, varied in pairs]
    seeds = sum(gain * test.difference > 0 for gain in gains)
    seen = f"{seeds} of {len(gains)} seeds" if test.difference else "no seed"
    plain_speed, varied_speed = (_reaches([pair[side].chunks_to_goal for pair in pairs]) for side in (0, 1))
    return (
        f"- {variant}: {_difference(test)} on {test.num_pairs} starts (seen in {seen}, p = {test.p_two_sided:.2g}). "
        f"It {varied_speed}, and the default {plain_speed}."
    )


def _difference(test: PairedTest) -> str:
    """Returns in words which side has more success, in percentage points."""
    points = f"{100 * test.difference:+.1f} points"
    if test.difference == 0.0 or test.p_two_sided >= CHANCE:
        return f"no clear difference, {points}"
    return f"{'**better than the default**' if test.difference > 0 else 'worse'}, {points}"


def _reaches(chunks: Sequence[int | None]) -> str:
    """Returns in words after how many chunks the goal is reached, with the number of seeds where not all reach it."""
    reached = [one for one in chunks if one is not None]
    if not reached:
        return f"never reaches {GOAL:.0%}"
    seeds = "" if len(reached) == len(chunks) else f" in {len(reached)} of {len(chunks)} seeds"
    return f"reaches {GOAL:.0%} after {np.mean(reached):.0f} chunks{seeds}"


def _compare(pairs: Sequence[tuple[Result, Result]]) -> PairedTest:
    """Returns the paired test of default and variant over all starts of all seeds."""
    plain, varied = ([float(one) for pair in pairs for one in pair[side].after["outcomes"]] for side in (0, 1))
    return paired_test(plain, varied)


def seeds_table(variants: Mapping[str, Sequence[Result]]) -> str:
    """Returns the table with one line for each seed of each variant."""
    lines = [
        f"| variant | seed | before [95 %] | after [95 %] | p | chunks | chunks to {GOAL:.0%} | minutes | load | "
        "evaluation, min | largest k2 | largest k3 | undone | accepted | made by |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for variant, results in variants.items():
        for one in results:
            cells = [
                variant,
                str(one.seed),
                _interval(one.before),
                _interval(one.after),
                f"{one.p_two_sided:.2g}",
                str(one.chunks),
                _to_goal([one.chunks_to_goal], "{:.0f}"),
                f"{one.minutes:.1f}",
                f"{one.provenance['load']}",
                f"{one.eval_minutes:.1f}",
                _metric(one, "kl/after max", "{:.3f}"),
                _metric(one, "kl/approx max", "{:.3f}"),
                _metric(one, "update/rolled_back sum", "{:.0f}"),
                _metric(one, "update/accepted mean", "{:.0%}"),
                _made_by(one),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _metric(result: Result, name: str, form: str) -> str:
    """Returns a metric as text. It is empty where the method, or the release of that time, has not recorded it."""
    return form.format(result.metrics[name]) if name in result.metrics else ""


def _interval(measured: Mapping[str, float]) -> str:
    return f"{measured['success']:.1%} [{measured['success_low']:.0%}, {measured['success_high']:.0%}]"


def _made_by(result: Result) -> str:
    """Returns the commit, the date and the number of cores, with changed files, earlier commits and resumptions."""
    made = result.provenance
    changed = f" with {_count(len(made['changed_files']), 'changed file')}" if made["changed_files"] else ""
    begun = f", begun at {made['begun_by'][0]['commit']}" if made["begun_by"] else ""
    resumed = f", resumed {_count(result.resumed, 'time')}" if result.resumed else ""
    return f"{made['commit']}{changed}{begun}{resumed}, {made['date']}, {_count(made['cores'], 'core')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
