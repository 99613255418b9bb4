"""Reads single messages of bags again, which stay open meanwhile."""

from __future__ import annotations

import functools
import pathlib
import weakref
from typing import Any

from chunk_ppo_ros.data.bags.bag_messages import Bags, MessagePlace
from chunk_ppo_ros.data.bags.storage.stored import Channel


class _StoredMessages:
    """Reads single messages of bags, which stay open meanwhile."""

    def __init__(self, paths: tuple[pathlib.Path, ...]) -> None:
        self.bags = Bags(paths)
        weakref.finalize(self, self.bags.close)


_open_messages = functools.lru_cache(maxsize=2)(_StoredMessages)


@functools.lru_cache(maxsize=1)
def read_message(bags: tuple[pathlib.Path, ...], channel: Channel, place: MessagePlace, stamp: int) -> Any:
    """Returns a message of bags by its place and its stamp, ns.

    The last bags stay open, and the last message is kept.

    Raises:
        EpisodesError: where the bags have changed or are damaged.
    """
    return _open_messages(bags).bags.read(channel, place, stamp=stamp)
