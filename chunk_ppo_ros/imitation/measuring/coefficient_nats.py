"""Shares the nats of FAST tokens among the DCT coefficients, and so among the joints, that the tokens stand for.

A chunk [H, D] is H * D coefficients, all of one DCT frequency together, each of which is one character of UTF-8. A FAST
token is some of the bytes of that text, and covers parts of several joints. So its nats are first shared among bytes,
by the chain rule of probabilities:

    nats of a byte = -log(P(tokens that begin with this byte and those before it in the token)
                          / P(tokens that begin with those before it))

What is left is -log(P(token) / P(tokens that begin with its bytes)), the nats of ending there. A longer token was
possible and the text goes on otherwise, so they belong to the byte after the token, or to the last byte at the end of
the chunk. The shares of a token add up to its nats. A joint that is easy to predict has nearly none of them, even in a
token that it shares with a hard one.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class FastPrefixes:
    """Finds the FAST tokens that begin with the first bytes of a token.

    Attributes:
        token_bytes: the bytes of each FAST id; empty for an id that stands for none.
        order: int [n], the ids that stand for bytes, in the order of these.
        ranges: for each FAST id, int [bytes, 2]: which part of `order` begins with its first byte, its first two ...
    """

    token_bytes: tuple[bytes, ...]
    order: np.ndarray
    ranges: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, token_bytes: Sequence[bytes | None]) -> FastPrefixes:
        """Returns the prefixes of a tokenizer, from the bytes of each id; None for an id that stands for none."""
        known = tuple(one or b"" for one in token_bytes)
        order = sorted((index for index, one in enumerate(known) if one), key=lambda index: known[index])
        ordered = [known[index] for index in order]
        above = b"\xff" * (1 + max(map(len, known), default=0))  # It sorts behind all tokens with the same beginning.

        def find(one: bytes) -> np.ndarray:
            begins = [one[:end] for end in range(1, len(one) + 1)]
            found = [(bisect.bisect_left(ordered, b), bisect.bisect_left(ordered, b + above)) for b in begins]
            return np.array(found, np.int64).reshape(-1, 2)

        return cls(known, np.array(order, np.int64), tuple(find(one) for one in known))

    def byte_nats(self, log_probs: np.ndarray, fast_id: int) -> np.ndarray:
        """Returns the nats of each byte of a token and those of ending after them, float64 [bytes + 1].

        Args:
            log_probs: float [F], the log-probabilities of the FAST tokens in the token's slot, nats.
            fast_id: the token, which stands for at least one byte.
        """
        ordered = log_probs[self.order].astype(np.float64)
        masses = [_log_sum(ordered[first:end]) for first, end in self.ranges[fast_id]]
        return -np.diff([0.0, *masses, float(log_probs[fast_id])])


def coefficient_nats(
    prefixes: FastPrefixes, fast_ids: Sequence[int], log_probs: np.ndarray, *, num_coefficients: int
) -> np.ndarray:
    """Returns the nats of each coefficient of a chunk, float64 [M], whose sum is that of the chunk's FAST tokens.

    Args:
        prefixes: the prefixes of the FAST tokens.
        fast_ids: the n FAST ids of the chunk.
        log_probs: float [n, F], the log-probabilities of all FAST tokens in each slot, nats.
        num_coefficients: the number M of coefficients that the tokens stand for.
    """
    text = b"".join(prefixes.token_bytes[index] for index in fast_ids)
    coefficient_of_byte = np.cumsum([byte & 0xC0 != 0x80 for byte in text]) - 1  # Other bytes begin a character.
    nats, place = np.zeros(num_coefficients), 0
    for slot, fast_id in enumerate(fast_ids):
        of_bytes = prefixes.byte_nats(log_probs[slot], fast_id)
        places = np.minimum(place + np.arange(len(of_bytes)), len(text) - 1)
        np.add.at(nats, coefficient_of_byte[places], of_bytes)
        place += len(of_bytes) - 1
    return nats


def _log_sum(log_probs: np.ndarray) -> float:
    """Returns the log of the summed probabilities, which does not underflow."""
    largest = float(np.max(log_probs))
    return largest + float(np.log(np.sum(np.exp(log_probs - largest))))
