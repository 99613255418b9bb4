"""Compares what the files of a bag hold with what its `metadata.yaml` declares."""

from __future__ import annotations

import dataclasses
from typing import Any

import yaml

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.bags.storage.bag_folder import METADATA, BagFolder
from chunk_ppo_ros.data.bags.storage.stored import Channel, DamagedFile


def custom_data_in(text: str) -> dict[str, Any]:
    """Returns the custom data of metadata that an MCAP file holds as YAML."""
    try:
        custom = yaml.load(text, Loader=yaml.BaseLoader)["rosbag2_bagfile_information"]["custom_data"]
    except (yaml.YAMLError, LookupError, TypeError):
        return {}
    return dict(custom) if isinstance(custom, dict) else {}


def with_declared_hash(channel: Channel, folder: BagFolder) -> Channel:
    """Returns the channel with the hash of its type that `metadata.yaml` has, where its file has none.

    Raises:
        DamagedFile: where its type is another one in `metadata.yaml`, or its name has characters of other kinds than
            topics have.
    """
    if not f"{channel.topic}{channel.type_name}".isprintable():
        raise DamagedFile(f"a topic and its type must be printable, got {channel.topic!r}, {channel.type_name!r}")
    if folder.types.get(channel.topic, channel.type_name) != channel.type_name:
        raise DamagedFile(
            f"the type of {channel.topic} must be that of {METADATA}, {folder.types[channel.topic]}, got "
            f"{channel.type_name}"
        )
    digest = channel.digest or folder.digests.get(channel.type_name, "")
    return dataclasses.replace(channel, digest=digest if channel.definition else "")


def check_counts(folder: BagFolder, found: dict[str, int]) -> None:
    """Compares the numbers of messages with those of `metadata.yaml`.

    Raises:
        EpisodesError: where they differ.
    """
    if not folder.has_metadata:
        return
    for topic in sorted({*folder.counts, *found}):
        declared, count = folder.counts.get(topic, 0), found.get(topic, 0)
        if declared != count:
            raise EpisodesError(
                f"a recording must have the messages that {METADATA} counts, got {count} of {topic} in {folder.path}, "
                f"not {declared}; copy it again, or run ros2 bag reindex"
            )
