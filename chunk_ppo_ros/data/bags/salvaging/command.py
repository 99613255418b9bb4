"""The command `salvage` makes whole bags of the parts of a recording that were cut off."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from chunk_ppo_ros.config.commands.recordings import salvage_parser
from chunk_ppo_ros.core.errors import EpisodesError, UserError
from chunk_ppo_ros.data.bags.salvaging.recording_lock import RecordingLocked, locked
from chunk_ppo_ros.data.bags.salvaging.salvage import cut_off_parts, salvage_part
from chunk_ppo_ros.data.bags.storage.bag_folder import METADATA


def main(arguments: Sequence[str]) -> int:
    """Runs `salvage BAG`, which prints a line for each part. The exit status is 1 where a part stays cut off.

    Raises:
        UserError: where there is no such folder, or it is being recorded.
    """
    folder: pathlib.Path = salvage_parser().parse_args(arguments).bag
    if not folder.is_dir():
        raise UserError(f"a bag must be a folder, got {folder}; name the folder of a recording, such as runs/mine/bag")
    is_part = folder in cut_off_parts(folder)
    try:
        with locked(folder.parent if is_part else folder):
            return _salvage(folder)
    except RecordingLocked as error:
        raise UserError(str(error)) from error


def _salvage(folder: pathlib.Path) -> int:
    parts = cut_off_parts(folder)
    status = 0
    for part in parts:
        try:
            print(salvage_part(part))
        except (EpisodesError, OSError) as error:
            print(f"{part} stays cut off: {error}")
            status = 1
    if not parts:
        print(
            f"{folder} has no part without {METADATA}, as a recorder that is killed leaves it; where a damaged part "
            "has this file, move the file away first"
        )
    return status
