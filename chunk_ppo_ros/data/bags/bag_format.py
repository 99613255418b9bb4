"""Refuses bags with messages of this package in a format that this version does not read."""

from __future__ import annotations

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.bags.bag_messages import Bags
from chunk_ppo_ros.data.bags.storage.bag_types import types_of
from chunk_ppo_ros.data.bags.storage.errors import guarded
from chunk_ppo_ros.data.message_format import FORMAT

_FORMAT_TYPE = "chunk_ppo_msgs/msg/MessageFormat"
_FORMATTED_TYPES = tuple(f"chunk_ppo_msgs/msg/{name}" for name in ("ActionChunk", "ExecutionResult", "ChunkOutcome"))


def check_format(bags: Bags) -> None:
    """Refuses bags with messages of this package in another format than the one that this version reads.

    Raises:
        EpisodesError: for such a bag, or where the definition of its messages is damaged.
    """
    for folder, channel in bags.channels_by_bag:
        if channel.type_name in _FORMATTED_TYPES:
            with guarded(folder.path):
                constants, _ = types_of(channel).fielddefs.get(_FORMAT_TYPE, ([], []))
            found = {name: value for name, _, value in constants}.get("VERSION")
            if found != FORMAT:
                got = "an older one" if found is None else f"format {found}"
                raise EpisodesError(
                    f"a recording must have message format {FORMAT}, got {got} in {folder.path}; read it with the "
                    "version of chunk_ppo_ros that recorded it, or record again"
                )
