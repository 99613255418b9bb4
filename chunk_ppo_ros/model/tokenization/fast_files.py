"""Reads the files of a FAST tokenizer, and refuses numbers with which no chunk could be decoded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeGuard

import tokenizers

MAX_SCALE = 1e5
"""The largest factor on coefficients that is believed; the published tokenizer has 10."""

MAX_TOKEN = 0x10FFFF
"""The largest code point. A coefficient is written as the character of its distance from `min_token`."""

_ADVICE = "take the published FAST tokenizer, or fit one: leave run.tokenizer_dir empty"


def read_processor_config(file: Path) -> tuple[float, int]:
    """Returns the scale and the smallest coefficient of a `processor_config.json`.

    Raises:
        ValueError: when the file cannot be read, or a number is missing or impossible; the text names it.
    """
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{file} cannot be read: {error}; {_ADVICE}") from error
    settings = content if isinstance(content, dict) else {}
    scale, min_token = settings.get("scale"), settings.get("min_token")
    if not _is_number(scale) or not 0 < scale <= MAX_SCALE:
        raise ValueError(
            f"scale in {file} must be a number above 0 and at most {MAX_SCALE:g}, got {scale!r}; {_ADVICE}"
        )
    if not _is_number(min_token) or not abs(min_token) <= MAX_TOKEN or min_token != int(min_token):
        raise ValueError(
            f"min_token in {file} must be a whole number within +-{MAX_TOKEN}, got {min_token!r}; {_ADVICE}"
        )
    return scale, int(min_token)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def read_bpe(file: Path) -> tokenizers.Tokenizer:
    """Returns the byte-level BPE of a `tokenizer.json`.

    Raises:
        ValueError: when the file cannot be read, or has no tokens.
    """
    try:
        bpe = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # The library raises bare exceptions.
        raise ValueError(f"{file} cannot be read: {error}; {_ADVICE}") from error
    if not bpe.get_vocab_size():
        raise ValueError(f"{file} must have tokens, got none; {_ADVICE}")
    return bpe
