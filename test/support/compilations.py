"""Counts how often JAX compiles."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import jax.monitoring

COMPILED = "/jax/core/compile/backend_compile_duration"
"""The name of JAX's event for a compilation. JAX also sends it for a program that its cache on the disk has."""


@contextlib.contextmanager
def compilations() -> Iterator[list[float]]:
    """Gives a list that receives the seconds of each compilation within the block."""
    seconds: list[float] = []

    def listen(event: str, duration: float, **_: Any) -> None:
        if event == COMPILED:
            seconds.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield seconds
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
