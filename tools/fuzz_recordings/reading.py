"""Reads a recording as the commands do, in a process of its own that may crash, hang or take too much memory."""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import io
import os
import pathlib
import pickle
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.data.episode import Episode, LeftOut
from chunk_ppo_ros.data.readers import iterate_episodes

TIME_LIMIT = 30.0
"""The time that reading may take, s. A reading takes some 50 ms."""
_MEMORY_LIMIT = 4 << 30  # bytes of addresses


@dataclasses.dataclass(frozen=True)
class SeenEpisode:
    """What was read of an episode: its arrays, the images of its steps, and what its reader says of it."""

    name: str
    states: np.ndarray
    actions: np.ndarray
    rate: float
    prompt: str
    success: bool | None
    images: dict[str, dict[int, np.ndarray]]
    remarks: tuple[str, ...]
    unused: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Reading:
    """What reading a recording gave.

    Attributes:
        outcome: "read", "refused", "traceback", "hung" or "died".
        text: the error text, or the end of the traceback.
        episodes: what was read, as far as it was.
        left_out: the texts of the episodes that were left out.
    """

    outcome: str
    text: str = ""
    episodes: tuple[SeenEpisode, ...] = ()
    left_out: tuple[str, ...] = ()


def read(folder: pathlib.Path) -> Reading:
    """Returns what reading the recording in a folder gives, in a child process."""
    return in_child(lambda: read_here(folder))


def in_child(work: Callable[[], Reading]) -> Reading:
    """Returns what some work gives, which is done in a child process that ends after `TIME_LIMIT`.

    This process must not decode videos itself, because libav's threads do not live on in a child.
    """
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receiving)
        _be_child(work, sending)
    os.close(sending)
    content = _receive(receiving)
    os.close(receiving)
    if content is None:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return Reading("hung", f"it took more than {TIME_LIMIT:g} s")
    _, status = os.waitpid(child, 0)
    if status or not content:
        return Reading("died", f"the status of the process is {status}")
    reading: Reading = pickle.loads(content)
    return reading


def _receive(receiving: int) -> bytes | None:
    """Returns what the child sends until it ends, or None where it takes too long."""
    deadline = time.monotonic() + TIME_LIMIT
    parts: list[bytes] = []
    while True:
        ready, _, _ = select.select([receiving], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return None
        part = os.read(receiving, 1 << 20)
        if not part:
            return b"".join(parts)
        parts.append(part)


def _be_child(work: Callable[[], Reading], sending: int) -> None:
    status = 1
    try:
        faulthandler.disable()  # A crash is an outcome here.
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_LIMIT, _MEMORY_LIMIT))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # Libraries in C write to it themselves.
        with contextlib.redirect_stdout(io.StringIO()), os.fdopen(sending, "wb") as pipe:
            pickle.dump(work(), pipe)
        status = 0
    finally:
        os._exit(status)


def read_here(folder: pathlib.Path) -> Reading:
    """Returns what reading the recording in a folder gives, in this process."""
    episodes: list[SeenEpisode] = []
    left_out: list[str] = []
    try:
        for found in iterate_episodes(folder, TrainConfig()):
            if isinstance(found, LeftOut):
                left_out.append(str(found))
            else:
                episodes.append(_see(found, folder))
    except UserError as error:
        return Reading("refused", str(error), tuple(episodes), tuple(left_out))
    except Exception:  # Each error that is not for the user is what the trial looks for.
        return Reading("traceback", traceback.format_exc(), tuple(episodes), tuple(left_out))
    return Reading("read", "", tuple(episodes), tuple(left_out))


def _see(episode: Episode, folder: pathlib.Path) -> SeenEpisode:
    steps = range(len(episode)) if episode.image_steps is None else episode.image_steps
    return SeenEpisode(
        name=episode.source.replace(str(folder), ""),
        states=episode.states,
        actions=episode.actions,
        rate=episode.rate,
        prompt=episode.prompt,
        success=episode.success,
        images={name: {int(step): read(int(step)) for step in steps} for name, read in episode.cameras.items()},
        remarks=(*episode.facts.said, *episode.facts.assumed),
        unused=episode.facts.unused,
    )
