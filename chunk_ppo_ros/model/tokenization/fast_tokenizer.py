"""Writes an action chunk as a short list of tokens (FAST; Pertsch et al. 2025, "FAST: Efficient Action Tokenization").

A chunk [H, D] is transformed by a DCT over time, scaled and rounded to H*D integers, written as one character each, and
compressed by byte-level BPE. The files are those of the published tokenizer. `token_ids.py` maps these ids into the
vocabulary of the language model, and `normalization.py` normalizes the actions.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import pathlib

import numpy as np
import scipy.fft
import tokenizers
from jaxtyping import Float32, Int, Int64, Real

from chunk_ppo_ros.model.tokenization.byte_level_bpe import byte_alphabet, is_character, token_to_bytes, train_bpe
from chunk_ppo_ros.model.tokenization.fast_files import read_bpe, read_processor_config

_PROCESSOR_CONFIG = "processor_config.json"
_TOKENIZER_CONFIG = "tokenizer_config.json"
_TOKENIZER = "tokenizer.json"
_AUTO_MAP = {"AutoProcessor": "processing_action_tokenizer.UniversalActionProcessor"}


@dataclasses.dataclass(frozen=True)
class DecodedChunk:
    """The chunk that a list of tokens stands for, or the reason why it stands for none.

    Attributes:
        actions: the normalized chunk; all NaN where it is not valid, so that it can never be mistaken for a target.
        valid: whether the tokens stand for a chunk.
        reason: why the tokens stand for no chunk; empty where they do.
        largest_coefficient: largest |quantized DCT coefficient|; 0 where the chunk is not valid.
        largest_action: largest |normalized action|; 0 where the chunk is not valid.
    """

    actions: Float32[np.ndarray, "H D"]
    valid: bool
    reason: str = ""
    largest_coefficient: int = 0
    largest_action: float = 0.0

    @classmethod
    def failed(cls, reason: str, *, horizon: int, action_dim: int) -> DecodedChunk:
        """Returns a chunk that is not valid, with the reason."""
        return cls(np.full((horizon, action_dim), np.nan, np.float32), False, reason)


def coefficient_limit(*, scale: float, horizon: int, action_limit: float) -> int:
    """Returns the largest |quantized coefficient| of a chunk within +-action_limit.

    It is ceil(scale * sqrt(H) * action_limit). The constant chunk reaches it, because its
    first orthonormal DCT-II coefficient is sqrt(H) times its value.
    """
    return math.ceil(scale * math.sqrt(horizon) * action_limit - 1e-9)


def action_bound(*, scale: float, horizon: int, action_limit: float) -> float:
    """Returns the largest |normalized action| of any chunk whose quantized coefficients are within `coefficient_limit`.

    x_n = sum over k of basis[k, n] X_k with the orthonormal DCT-II basis. So |x_n| is at most the limit on X times the
    largest column sum of |basis|, and some signs of X reach it. For H = 16 that is 14.7 times `action_limit`. So a
    bound on the coefficients alone does not keep actions within the limit from which it was derived.
    """
    limit = coefficient_limit(scale=scale, horizon=horizon, action_limit=action_limit)
    basis = scipy.fft.dct(np.eye(horizon), axis=0, norm="ortho")
    return float(limit / scale * np.max(np.sum(np.abs(basis), axis=0)))


def rounding_bound(*, scale: float, horizon: int) -> float:
    """Returns the largest change of a normalized action by encoding and decoding: sqrt(H) / (2 scale).

    Rounding moves each of H coefficients by 0.5 / scale at most, and an orthonormal transform keeps the 2-norm.
    """
    return math.sqrt(horizon) / (2 * scale)


@dataclasses.dataclass(frozen=True)
class FastTokenizer:
    """Byte-level BPE over quantized DCT coefficients.

    Attributes:
        bpe: the BPE tokenizer, whose text has one character for each coefficient, all of one time step together.
        scale: the factor that multiplies coefficients before rounding.
        min_token: the coefficient that is written as chr(0).
    """

    bpe: tokenizers.Tokenizer
    scale: float
    min_token: int

    @classmethod
    def load(cls, folder: str | pathlib.Path) -> FastTokenizer:
        """Reads the folder of a published or a fitted tokenizer.

        Raises:
            FileNotFoundError: when a file is missing; the text names it.
            ValueError: when a file cannot be read, or holds a number with which no chunk can be decoded.
        """
        folder = pathlib.Path(folder)
        for name in (_TOKENIZER, _PROCESSOR_CONFIG):
            if not (folder / name).is_file():
                raise FileNotFoundError(f"FAST tokenizer folder must hold {name}, got {folder}; fit or copy one there")
        scale, min_token = read_processor_config(folder / _PROCESSOR_CONFIG)
        return cls(bpe=read_bpe(folder / _TOKENIZER), scale=scale, min_token=min_token)

    def save(self, folder: str | pathlib.Path) -> None:
        """Writes the files that `load` and the published tokenizer's loader read."""
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.bpe.save(str(folder / _TOKENIZER))
        processor = {
            "action_dim": None,
            "auto_map": _AUTO_MAP,
            "min_token": self.min_token,
            "processor_class": "UniversalActionProcessor",
            "scale": self.scale,
            "time_horizon": None,
            "vocab_size": self.vocab_size,
        }
        tokenizer = {
            "added_tokens_decoder": {},
            "auto_map": _AUTO_MAP,
            "clean_up_tokenization_spaces": False,
            "processor_class": "UniversalActionProcessor",
            "tokenizer_class": "PreTrainedTokenizerFast",
        }
        (folder / _PROCESSOR_CONFIG).write_text(json.dumps(processor, indent=2) + "\n")
        (folder / _TOKENIZER_CONFIG).write_text(json.dumps(tokenizer, indent=2) + "\n")

    @classmethod
    def fit(
        cls,
        action_chunks: Real[np.ndarray, "..."],
        *,
        vocab_size: int = 512,
        scale: float = 10,
        action_limit: float = 1.5,
    ) -> FastTokenizer:
        """Returns a tokenizer fitted to chunks. Every chunk within `action_limit` can be written with it.

        It differs from the published fit in two ways. The alphabet has the bytes of all coefficients up to
        `coefficient_limit`, whether or not they occur. And a chunk is one word. The published pre-tokenizer splits at
        changes between letters, digits, punctuation and blanks, which here depend only on the code points that happen
        to stand for the coefficients. It would end runs of zeros at arbitrary values.

        Args:
            action_chunks: [N, H, D], normalized, within +-action_limit.
            vocab_size: largest number of tokens; the tokenizer has fewer where the chunks have fewer repeated pairs.
            scale: the factor that multiplies coefficients before rounding.
            action_limit: largest |normalized action| that the tokenizer must be able to write.

        Raises:
            ValueError: where an action is beyond the limit or vocab_size does not hold the alphabet.
        """
        chunks = np.asarray(action_chunks)
        if chunks.ndim != 3 or not len(chunks):
            raise ValueError(f"action_chunks must have the shape [N, H, D] with N > 0, got {chunks.shape}")
        largest = float(np.max(np.abs(chunks)))
        if not largest <= action_limit:
            raise ValueError(f"actions must be within +-{action_limit}, got {largest}; clip them by clip_actions")
        limit = coefficient_limit(scale=scale, horizon=chunks.shape[1], action_limit=action_limit)
        alphabet = byte_alphabet(range(2 * limit + 1))
        if vocab_size < len(alphabet):
            raise ValueError(
                f"vocab_size must be at least {len(alphabet)}, the bytes of all coefficients, got {vocab_size}; "
                "take a larger one or a smaller scale"
            )
        texts = (_to_text(quantize(chunk, scale) + limit) for chunk in chunks)
        return cls(bpe=train_bpe(texts, alphabet, vocab_size), scale=scale, min_token=-limit)

    @property
    def vocab_size(self) -> int:
        """The number F of token ids."""
        return self.bpe.get_vocab_size()

    @functools.cached_property
    def token_bytes(self) -> tuple[bytes | None, ...]:
        """The bytes that each id stands for; None for an id that is special or has no token."""
        special = {index for index, token in self.bpe.get_added_tokens_decoder().items() if token.special}
        tokens = [None if index in special else self.bpe.id_to_token(index) for index in range(self.vocab_size)]
        return tuple(None if token is None else token_to_bytes(token) for token in tokens)

    def encode(self, actions: Real[np.ndarray, "..."]) -> list[int]:
        """Returns the token ids of one normalized chunk [H, D].

        Raises:
            ValueError: where a coefficient has no character in this tokenizer. No action is clipped.
        """
        codes = quantize(actions, self.scale) - self.min_token
        if not all(is_character(int(code)) for code in np.unique(codes)):
            raise ValueError(self._range_error(codes))
        text = _to_text(codes)
        ids = self.bpe.encode(text, add_special_tokens=False).ids
        if b"".join(self.token_bytes[index] or b"" for index in ids) != text.encode():
            raise ValueError(self._range_error(codes))
        return ids

    def decode(self, ids: list[int] | Int[np.ndarray, "tokens"], *, horizon: int, action_dim: int) -> DecodedChunk:
        """Returns the normalized chunk [H, D] that token ids stand for. It is not valid where they stand for none."""
        fail = functools.partial(DecodedChunk.failed, horizon=horizon, action_dim=action_dim)
        pieces = [self.token_bytes[i] if 0 <= i < self.vocab_size else None for i in map(int, ids)]
        if None in pieces:
            return fail(f"token {int(ids[pieces.index(None)])} is not an action token")
        try:
            text = b"".join(piece for piece in pieces if piece is not None).decode("utf-8")
        except UnicodeDecodeError as error:
            return fail(f"the tokens' bytes are not UTF-8: {error.reason}")
        if len(text) != horizon * action_dim:
            return fail(f"the tokens stand for {len(text)} coefficients instead of {horizon * action_dim}")
        coefficients = np.array([ord(character) for character in text], np.float64) + self.min_token
        actions = scipy.fft.idct(coefficients.reshape(horizon, action_dim) / self.scale, axis=0, norm="ortho")
        return DecodedChunk(
            actions.astype(np.float32),
            True,
            largest_coefficient=int(np.max(np.abs(coefficients))),
            largest_action=float(np.max(np.abs(actions))),
        )

    def _range_error(self, codes: Int64[np.ndarray, "H D"]) -> str:
        low, high = int(codes.min()) + self.min_token, int(codes.max()) + self.min_token
        return (
            f"DCT coefficients must have a character in this FAST tokenizer (chr(0) is {self.min_token}), got "
            f"{low}..{high}; clip the normalized actions or fit a tokenizer with a larger action_limit"
        )


def quantize(actions: Real[np.ndarray, "..."], scale: float) -> Int64[np.ndarray, "H D"]:
    """Returns round(scale * orthonormal DCT-II of the chunk over time). Halves are rounded to the even number.

    Raises:
        ValueError: where the chunk is not [H, D] or not finite.
    """
    actions = np.asarray(actions)
    if actions.ndim != 2 or not actions.size:
        raise ValueError(f"actions must have the shape [H, D], got {actions.shape}")
    if not np.all(np.isfinite(actions)):
        raise ValueError("actions must be finite, got NaN or infinity; leave that chunk out")
    coefficients: np.ndarray = scipy.fft.dct(actions, axis=0, norm="ortho")
    return np.around(scale * coefficients).astype(np.int64)


def _to_text(codes: Int64[np.ndarray, "H D"]) -> str:
    return "".join(chr(code) for code in codes.ravel())
