"""Defines a prompt with its weight. `config/entries/prompts.py` reads them from the setting `episode.prompts`."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class WeightedPrompt:
    """A prompt, and how often it comes.

    Attributes:
        text: the task in words.
        weight: how often it comes in comparison with the other prompts, above 0.
    """

    text: str
    weight: float = 1.0
