"""Chooses the font of a text, which may be in any script, such as a prompt in Chinese.

The usual font is DejaVu Sans, which comes with matplotlib. It has Latin, Greek, Cyrillic and more, but no Chinese,
Japanese or Korean. For other characters the fonts of the machine are searched. What no font has is replaced by
`UNKNOWN`, because boxes in the place of characters tell a reader nothing.
"""

from __future__ import annotations

import dataclasses
import functools
import string
from collections.abc import Iterator, Set
from pathlib import Path

import matplotlib
from matplotlib.ft2font import FT2Font

USUAL = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
"""The file of the usual font."""
UNKNOWN = "[?]"
"""What is drawn for characters that no font has."""
ADVICE = f"{UNKNOWN}: no font of this machine has these characters; install one, such as fonts-noto-cjk for Chinese"
"""What to say where `UNKNOWN` is drawn."""
_ALSO = frozenset(map(ord, string.ascii_letters + string.digits + string.punctuation))
"""The characters that another font must have as well, because one font draws the whole text."""

Plainness = tuple[bool, float, str]
"""How far a font is from an upright one of the usual weight, and its file, so that the choice is fixed."""
_MOST_PLAIN: Plainness = (False, 0.0, "")


@dataclasses.dataclass(frozen=True)
class FontChoice:
    """The file of a font, and the characters of a text that it does not have."""

    path: Path
    lacks: Set[int]


def font_of(text: str) -> Path:
    """Returns the file of the font for a text: the usual one, or that of the machine which has most of the rest."""
    return choose(_unusual(text)).path


def drawable(text: str) -> str:
    """Returns a text in which `UNKNOWN` stands for each run of characters that the font of the text does not have."""
    lacks = choose(_unusual(text)).lacks
    parts: list[str] = []
    for char in text:
        part = UNKNOWN if ord(char) in lacks else char
        if part != UNKNOWN or parts[-1:] != [UNKNOWN]:
            parts.append(part)
    return "".join(parts)


def _unusual(text: str) -> frozenset[int]:
    """Returns the characters of a text that the usual font does not have."""
    return frozenset(ord(char) for char in text if not char.isspace()) - _usual_characters()


@functools.cache
def _usual_characters() -> frozenset[int]:
    return frozenset(FT2Font(str(USUAL)).get_charmap())


@functools.cache
def choose(unusual: frozenset[int]) -> FontChoice:
    """Returns the font for a text with characters that the usual font does not have, given by their numbers.

    The search of the machine takes up to a second.
    """
    choices = [(len(unusual), False, _MOST_PLAIN, FontChoice(USUAL, unusual))]
    for path, face, plainness in _faces() if unusual else ():
        lacks = _lacking(face, unusual)
        choices.append((len(lacks), path != USUAL, plainness, FontChoice(path, lacks)))
    return min(choices, key=lambda each: each[:3])[3]


def _lacking(face: FT2Font, characters: Set[int]) -> Set[int]:
    return {code for code in characters if not face.get_char_index(code)}


def _faces() -> Iterator[tuple[Path, FT2Font, Plainness]]:
    """Yields the fonts of the machine that have all letters of English, and how plain they are, in any order."""
    from matplotlib.font_manager import findSystemFonts  # Its module lists the fonts when it is imported.

    for name in findSystemFonts():
        try:
            face = FT2Font(name)
            plainness = _plainness(Path(name), face)
        except Exception:  # FreeType or matplotlib cannot read what is in this file, so nothing is drawn with it.
            continue
        if face.scalable and not _lacking(face, _ALSO):
            yield Path(name), face, plainness


def _plainness(path: Path, face: FT2Font) -> Plainness:
    from matplotlib.font_manager import ttfFontProperty

    entry = ttfFontProperty(face)
    return entry.style != "normal", abs(float(entry.weight) - 400.0), str(path)
