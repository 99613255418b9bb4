"""Writes numbers of things as people do."""

from __future__ import annotations


def count_of(count: int, noun: str) -> str:
    """Returns a number and a noun, which gets an "s" for all numbers but one."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def clause(count: int, noun: str, one: str, several: str) -> str:
    """Returns a number, a noun and the verb that fits the number.

    Args:
        count: the number.
        noun: the noun as it is used for one.
        one: the verb for one, such as "waits".
        several: the verb for all other numbers, such as "wait".
    """
    return f"{count_of(count, noun)} {one if count == 1 else several}"
