"""Byte-level BPE as the library `tokenizers` has it: symbols that stand for bytes, and the fit of a vocabulary.

`fast_tokenizer.py` says what the texts mean.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

import tokenizers

_SURROGATES = range(0xD800, 0xE000)


def is_character(code: int) -> bool:
    """Returns whether UTF-8 has an encoding for this code point."""
    return 0 <= code <= 0x10FFFF and code not in _SURROGATES


@functools.cache
def byte_of_symbol() -> dict[str, int]:
    """Returns the byte that each printable symbol of byte-level BPE stands for.

    A byte that is a printable character of Latin-1 has that character as its symbol. The other bytes, in order, have
    the code points from 256 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}


def token_to_bytes(token: str) -> bytes:
    """Returns the bytes of a vocabulary entry.

    An entry with characters that are no symbols of bytes stands for its own UTF-8 text, as in `tokenizers`.
    """
    table = byte_of_symbol()
    return bytes(table[c] for c in token) if all(c in table for c in token) else token.encode()


def byte_alphabet(codes: range) -> list[str]:
    """Returns the byte-level symbols that the UTF-8 encodings of these code points use, in order of their bytes."""
    used = {byte for code in codes if is_character(code) for byte in chr(code).encode()}
    symbols = {byte: symbol for symbol, byte in byte_of_symbol().items()}
    return [symbols[byte] for byte in sorted(used)]


def train_bpe(texts: Iterable[str], alphabet: list[str], vocab_size: int) -> tokenizers.Tokenizer:
    """Returns byte-level BPE of texts, each of which is one word.

    Args:
        texts: the texts to fit.
        alphabet: symbols of bytes that are tokens in any case.
        vocab_size: largest number of tokens.
    """
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=2, initial_alphabet=alphabet, special_tokens=[], show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    return bpe
