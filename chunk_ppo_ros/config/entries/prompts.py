"""Reads prompts with their weights from a setting."""

from __future__ import annotations

import math

from chunk_ppo_ros.core.prompts.weighted_prompt import WeightedPrompt


def parse_prompts(setting_name: str, entries: tuple[str, ...]) -> tuple[WeightedPrompt, ...]:
    """Returns the prompts of a setting whose entries are WEIGHT=TEXT, or TEXT with a weight of 1.

    An entry is WEIGHT=TEXT where a number stands before its first "=". A text that itself begins so needs a weight.

    Raises:
        ValueError: for an entry without text, for a weight that is not a finite number above 0, and for a text that
            differs from an earlier one only in what the policy does not see: capitals, blanks and underscores.
    """
    prompts: dict[str, WeightedPrompt] = {}
    for entry in entries:
        prompt = _parse_prompt(setting_name, str(entry))
        seen = _as_seen(prompt.text)
        if seen in prompts:
            raise ValueError(
                f"{setting_name} must have each text once, got {prompts[seen].text!r} again in the entry {entry!r}; "
                "leave one out, and give the other the sum of both weights"
            )
        prompts[seen] = prompt
    return tuple(prompts.values())


def _parse_prompt(setting_name: str, entry: str) -> WeightedPrompt:
    before, equals, after = entry.partition("=")
    given = equals and _is_number(before)
    text, weight = (after.strip(), float(before)) if given else (entry.strip(), 1.0)
    if not text:
        raise ValueError(
            f"{setting_name} must be entries TEXT or WEIGHT=TEXT, got {entry!r}, which has no text; write the task in "
            "words, or leave the entry out"
        )
    if not (math.isfinite(weight) and weight > 0.0):
        raise ValueError(
            f"{setting_name} must have weights that are finite numbers above 0, got {before.strip()} in {entry!r}; "
            "write for example '2=pick up the cup', or leave the entry out"
        )
    return WeightedPrompt(text, weight)


def _as_seen(text: str) -> str:
    return " ".join(text.lower().replace("_", " ").split())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
