"""Finds what no text file can hold."""

from __future__ import annotations


def first_surrogate(text: str) -> int | None:
    """Returns the place of the first single surrogate of a text, or None where UTF-8 can hold all of it.

    Python reads a byte of the command line that is no UTF-8 as a surrogate, and JSON can name one.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error.start
    return None
