"""Writes the text of docs/results/README.md.

It says what each experiment reached, with every seed, and which variants are better or worse than the default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from chunk_ppo_ros.evaluation.statistics import PairedTest, paired_test
from experiments.definitions import DEFAULT, EXPERIMENTS, TUNING_SEED, VARIANTS
from experiments.results import GOAL, Result

_AGAINST = (
    "Each variant is compared with the default on the starts of the seeds that both have. p holds for these trained "
    "policies on such starts. It does not contain how much training differs from seed to seed. Look therefore at the "
    "number of seeds in which the difference is seen:"
)

Grouped = Mapping[str, Mapping[str, Sequence[Result]]]

_HEAD = f"""# Results

`make report` writes this page from the JSON files below this folder. `make experiment` leaves one for each curve.

- **Success** before and after is measured with one way of decoding on the same starts. No training, no demonstration
  and no choice has seen them. The points between are measured on validation starts.
- **"To {GOAL:.0%}"** is the first point with at least that success. Where some seeds have none, it says how many do.
- **Minutes** are those of training: rollouts, updates, checkpoints and compiling, without imitation and evaluations.
- **Load** is the load average, which counts busy processes. It shows whether a curve had the machine to itself: a curve
  alone keeps at most as many processes busy as the machine has cores.
- **Undone** counts attempts at updates that went beyond `ppo.max_kl` and were made again at a lower rate. **Accepted**
  is the share of updates that ended well.
"""


def page(grouped: Grouped) -> str:
    """Returns the whole page."""
    if not grouped:
        return _HEAD + "\nThere are no results yet.\n"
    return "\n".join([_HEAD, *(_experiment(name, variants) for name, variants in grouped.items())])


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
    """Returns how the starts were made and how success is measured.

    The first paragraph is that of the first variant. Each further one names the variants that differ from it.
    """
    by_text: dict[str, list[str]] = {}
    for variant, results in variants.items():
        for text in dict.fromkeys(_setting(result) for result in results):
            by_text.setdefault(text, []).append(variant)
    (first, _), *others = by_text.items()
    return [first, *(f"It is otherwise for {', '.join(names)}. {text}" for text, names in others)]


def _setting(result: Result) -> str:
    env = EXPERIMENTS[result.name].config.env
    start = result.start
    candidates = ", ".join(f"{steps}: {success:.0%}" for steps, success in start["candidates"].items())
    settings = f" ({', '.join(env.task_settings)})" if env.task_settings else ""
    return (
        f"Task {env.task}{settings} on the {env.simulator} simulator, up to {env.max_episode_chunks} chunks. "
        f"The start is imitation of {start['demonstrations']} demonstrations (seed {start['seed']}) after "
        f"{start['gradient_steps']} gradient steps: {start['success']:.1%} of {start['validation_episodes']} "
        f"validation starts. Candidates by gradient steps were {candidates}. "
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
    pairs = [(mine, other) for other in results for mine in default if mine.seed == other.seed]
    if not pairs:
        return f"- {variant}: it is not compared, because it has no seed in common with the default."
    test = _compare(pairs)
    better = "**better than the default**" if test.difference > 0 else "worse" if test.difference < 0 else "equal"
    gains = [mine.after["success"] - other.after["success"] for other, mine in pairs]
    seeds = f"in {sum(gain * test.difference > 0 for gain in gains)} of {len(gains)} seeds, " if test.difference else ""
    certain = "" if test.difference == 0 or test.p_two_sided < 0.05 else ", which may be chance"
    speed = [_to_goal([one.chunks_to_goal for one in side], "{:.0f}") for side in zip(*pairs, strict=True)]
    return (
        f"- {variant}: {better} after training, by {test.difference:+.1%} of {test.num_pairs} starts "
        f"({seeds}p = {test.p_two_sided:.2g}{certain}); {GOAL:.0%} after {speed[1]} chunks, the default {speed[0]}."
    )


def _compare(pairs: Sequence[tuple[Result, Result]]) -> PairedTest:
    """Returns the paired test over all starts of all seeds."""
    mine, others = ([float(one) for pair in pairs for one in pair[side].after["outcomes"]] for side in (0, 1))
    return paired_test(mine, others)


def seeds_table(variants: Mapping[str, Sequence[Result]]) -> str:
    """Returns the table with one line for each seed of each variant."""
    lines = [
        f"| variant | seed | before [95 %] | after [95 %] | p | chunks | chunks to {GOAL:.0%} | minutes | load | "
        "evaluation, min | largest KL | undone | accepted | made by |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
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
    changed = f" with {len(made['changed_files'])} changed files" if made["changed_files"] else ""
    begun = f", begun by {made['begun_by'][0]['commit']}" if made["begun_by"] else ""
    resumed = f", resumed {result.resumed} times" if result.resumed else ""
    return f"{made['commit']}{changed}{begun}{resumed}, {made['date']}, {made['cores']} cores"
