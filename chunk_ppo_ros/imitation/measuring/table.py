"""Writes a measured imitation as a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from chunk_ppo_ros.core.wording.counts import clause, count_of
from chunk_ppo_ros.imitation.measuring.measurement import InvalidChunk, Measurement, QuantityFigures

MAX_NAMED = 3
"""The largest number of episodes, and of chunks without actions, that are named. The JSON file names all."""

_NAME_WIDTH = 32
_COLUMNS = ("RMSE", "95 %", "begin", "middle", "end", "hold", "mean", "tokens")


def to_table(measurement: Measurement) -> str:
    """Returns the figures of an imitation in some lines, and last what they say."""
    lines = [
        f"{count_of(measurement.num_chunks, 'chunk')} of {count_of(len(measurement.episodes), 'episode')} "
        f"({_some(measurement.episodes)}); {measurement.trained_on}",
        *_likelihood(measurement),
        *_errors(measurement),
        *_invalid(measurement.invalid),
        *([measurement.note] if measurement.note else []),
        measurement.verdict,
    ]
    return "\n".join(lines)


def _likelihood(measurement: Measurement) -> list[str]:
    figures = measurement.likelihood
    by_frequency = "unknown" if figures.by_frequency is None else f"{figures.by_frequency:.3f}"
    parts = " ".join("-" if part is None else f"{part:.3f}" for part in figures.by_part)
    end = figures.end_nats_per_chunk
    return [
        f"{figures.nats_per_token:.3f} nats per token, {figures.nats_per_chunk:.2f} per chunk of "
        f"{figures.tokens_per_chunk:.1f} tokens; by the frequency of tokens in the training data it would be "
        f"{by_frequency} per token, and {figures.uniform:.3f} if all FAST tokens were equally likely",
        f"nats per token in the first, second, third and last quarter of the tokens: {parts}"
        + (f'; the end of a chunk ("|") takes {end:.2f} nats' if end else ""),
    ]


def _errors(measurement: Measurement) -> list[str]:
    knows_frequency = measurement.likelihood.by_frequency is not None
    nats = ("nats", "by freq") if knows_frequency else ("nats",)
    rows = [
        f"{'error of greedily decoded chunks':<{_NAME_WIDTH}}" + "".join(f"{name:>9}" for name in (*_COLUMNS, *nats))
    ]
    for one in (*measurement.joints, *measurement.grippers):
        errors = (one.rmse, one.p95, *one.by_stage, one.hold, one.mean_chunk, one.rounding)
        shares = (one.nats_per_chunk, one.nats_by_frequency)[: len(nats)]
        cells = "".join(_cell(value) for value in (*errors, *shares))
        rows.append(f"{f'  {one.name}, {one.unit}':<{_NAME_WIDTH}}{cells}  {one.verdict}")
    return [*rows, _legend(measurement.joints)]


def _legend(joints: Sequence[QuantityFigures]) -> str:
    unknown = [
        text
        for text, name in (("hold (states have other dimensions)", "hold"), ("mean (training data)", "mean_chunk"))
        if all(getattr(one, name) is None for one in joints)
    ]
    missing = f"; not known: {', '.join(unknown)}" if unknown else ""
    return (
        "begin, middle and end are thirds of a chunk's steps; hold: the state is held; mean: the mean chunk of the "
        "training data; tokens: the recorded chunk itself, rounded by its tokens; nats: a joint's share of a chunk"
        f"{missing}"
    )


def _invalid(invalid: Sequence[InvalidChunk]) -> list[str]:
    if not invalid:
        return []
    more = f", and {len(invalid) - MAX_NAMED} more" if len(invalid) > MAX_NAMED else ""
    named = "; ".join(f"{one.start}: {one.reason}" for one in invalid[:MAX_NAMED])
    told = clause(len(invalid), "decoded chunk", "stands for no actions and is", "stand for no actions and are")
    return [f"{told} left out of the errors ({named}{more})"]


def _some(names: Sequence[str]) -> str:
    more = f", and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return f"{', '.join(names[:MAX_NAMED])}{more}"


def _cell(value: float | None) -> str:
    return f"{'-':>9}" if value is None else f"{value:9.2f}"
