"""How often JAX compiles."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import jax.monitoring

COMPILED = "/jax/core/compile/backend_compile_duration"
"""What JAX calls a compilation, also one that it finds in its cache on the disk."""


@contextlib.contextmanager
def compilations() -> Iterator[list[float]]:
    """The seconds of each compilation within the block."""
    seconds: list[float] = []

    def listen(event: str, duration: float, **_: Any) -> None:
        if event == COMPILED:
            seconds.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield seconds
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
