"""Knows the ids of the action tokens in the model's vocabulary, and of the tokens that are forced around them."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

import jax
import numpy as np

ArrayT = TypeVar("ArrayT", int, np.ndarray, jax.Array)
NUM_SKIPPED = 128
"""The number of ids at the end of the vocabulary that FAST does not use; PaliGemma's segmentation tokens."""


@dataclasses.dataclass(frozen=True)
class TokenIds:
    """The ids of action tokens in the model's vocabulary: FAST id f is model id vocab_size - 1 - skip - f.

    Attributes:
        vocab_size: V, the number of rows of the model's token embedding.
        num_fast: F, number of FAST tokens.
        skip: number of ids at the end of the vocabulary that FAST does not use.
        action_prefix: ids of "Action: ".
        bar: id of "|".
        end: id of the end token.
    """

    vocab_size: int
    num_fast: int
    skip: int
    action_prefix: tuple[int, ...]
    bar: int
    end: int

    def __post_init__(self) -> None:
        """Refuses ids that overlap or lie outside the vocabulary."""
        lowest = self.to_model(self.num_fast - 1)
        if lowest < 0:
            raise ValueError(
                f"vocab_size must be at least num_fast + skip = {self.num_fast + self.skip}, got {self.vocab_size}; "
                "raise model.vocab_size or take a smaller FAST tokenizer"
            )
        taken = [
            i for i in (*self.action_prefix, self.bar, self.end) if not 0 <= i < self.vocab_size or self.is_fast(i)
        ]
        if taken:
            raise ValueError(
                f"ids of 'Action: ', '|' and the end must be in 0..{self.vocab_size - 1} and outside the FAST tokens "
                f"{lowest}..{self.to_model(0)}, got {taken}; raise model.vocab_size"
            )

    def to_model(self, fast_ids: ArrayT) -> ArrayT:
        """Returns the model ids of FAST ids, which may be an int or an array."""
        return self.vocab_size - 1 - self.skip - fast_ids

    def to_fast(self, model_ids: ArrayT) -> ArrayT:
        """Returns the FAST ids of model ids. An id that is not an action token gives one outside 0..num_fast-1."""
        return self.vocab_size - 1 - self.skip - model_ids

    def is_fast(self, model_id: int) -> bool:
        """Returns whether a model id is an action token."""
        return 0 <= self.to_fast(model_id) < self.num_fast


FORCED_TAIL = 2
"""The number of action-token slots that "|" and the end token take after the FAST tokens."""
