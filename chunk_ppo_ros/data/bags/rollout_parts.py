"""Looks at the parts of a recording of recorder_node: which are missing, and which are of another recording."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Sequence

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.bags.bag_messages import Bags, ends_with
from chunk_ppo_ros.data.topic_names import LEADER_STATES

_PART = re.compile(r"part_(\d+)")


def missing_parts(bags: Sequence[pathlib.Path]) -> dict[int, str]:
    """Returns the names of the parts that are missing before a bag, by the index of that bag.

    The oldest parts may be missing, because the recorder removes them where its disk space ends.
    """
    missing: dict[int, str] = {}
    for index in range(1, len(bags)):
        before, after = (_PART.fullmatch(bag.name) for bag in bags[index - 1 : index + 1])
        if before and after and bags[index - 1].parent == bags[index].parent:
            first, last = int(before[1]) + 1, int(after[1]) - 1
            names = [f"part_{number:04d}" for number in sorted({first, last})]
            if first <= last:
                missing[index] = " to ".join(names)
    return missing


def parts_sentences(bags: Sequence[pathlib.Path]) -> list[str]:
    """Returns a sentence for each place where parts are missing."""
    return [
        f"{names} missing from {bags[index].parent}; episodes that reach over it are left out, and those beside it may "
        "lack chunks"
        for index, names in missing_parts(bags).items()
    ]


def refuse_other_recordings(reader: Bags) -> None:
    """Refuses demonstrations by leader arms among the parts of a recording.

    Raises:
        EpisodesError: where a bag that is not named as a part has leader arms and no message of this package.
    """
    for folder in reader.folders:
        channels = [channel for owner, channel in reader.channels_by_bag if owner is folder]
        is_own = any(each.type_name.startswith("chunk_ppo_msgs/") for each in channels)
        leads = any(ends_with(each.topic, name) for each in channels for name in LEADER_STATES.values())
        if leads and not is_own and not _PART.fullmatch(folder.path.name):
            raise EpisodesError(
                f"a folder must have the parts of one recording, or demonstrations by leader arms, got both and "
                f"{folder.path} of the second kind; put them into folders of their own"
            )
