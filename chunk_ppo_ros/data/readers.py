"""Lists the readers of recorded episodes, one for each format (docs/recordings.md), and chooses the reader of a path.

A format of this package is one module in this folder and one line in `READERS`. A format of another package is an entry
point of the group `chunk_ppo_ros.episode_readers`.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.core.registry import Registry
from chunk_ppo_ros.data.episode import Episode, LeftOut, at_rate
from chunk_ppo_ros.data.left_out import is_left_out


class EpisodeReader(Protocol):
    """Reads the episodes of one format.

    Attributes:
        description: the format in a few words with the names of its files, for error texts.
    """

    description: str

    def recognizes(self, path: pathlib.Path) -> bool:
        """Returns whether an existing file or folder is of this format, even if it is damaged. It reads very little."""

    def read(self, path: pathlib.Path, config: TrainConfig) -> Iterator[Episode | LeftOut]:
        """Yields the episodes of a path that the reader recognizes, in order. Each is read when it is asked for.

        Where one episode cannot be used and the others can, it yields a `LeftOut` in the place of that episode. It
        need not read the episodes that `left_out.is_left_out` names, so that damaged ones can be left out.

        Args:
            path: the file or folder.
            config: the settings. `run.prompt` replaces the prompts of the recording where it is not empty. `robot`,
                `env.sync_tolerance` and the names of the cameras are for formats that do not hold them, and
                `recordings` for what files leave open.

        Raises:
            EpisodesError: where something is missing or damaged. The text names what was found.
            UnansweredQuestion: where the recording can be read in several ways. The text names the flag that decides.
        """


READERS: Registry[type[EpisodeReader]] = Registry(
    "the reader of episodes",
    group="chunk_ppo_ros.episode_readers",
    own={
        "aloha_hdf5_file": "chunk_ppo_ros.data.aloha_hdf5.reader:AlohaFileReader",
        "lerobot": "chunk_ppo_ros.data.lerobot.reader:LeRobotReader",
        "teleop_bag": "chunk_ppo_ros.data.bags.teleop_bag:TeleopBagReader",
        "rollout_bag": "chunk_ppo_ros.data.bags.rollout_bag:RolloutBagReader",
        "aloha_hdf5_folder": "chunk_ppo_ros.data.aloha_hdf5.reader:AlohaFolderReader",
    },
    attributes=("description", "recognizes", "read"),
)
"""All readers.

Readers of other packages are asked first, because their formats may be special cases of the formats of this package.
Then the readers of this package are asked in this order. The first reader that recognizes a path reads it.
"""

_BAGS = ("teleop_bag", "rollout_bag")


def read_all(
    paths: Sequence[pathlib.Path], config: TrainConfig, *, on_episode: Callable[[], object] = lambda: None
) -> list[Episode]:
    """Returns all episodes of files and folders, in control steps of `robot.control_rate`.

    It prints a line for each episode that is left out, and where episodes of another rate are resampled.

    Args:
        paths: the files and folders.
        config: the settings of reading.
        on_episode: function that is called after each episode.

    Raises:
        EpisodesError: where `iterate_episodes` raises it.
    """
    rate = config.robot.control_rate
    episodes = []
    for found in (found for path in paths for found in iterate_episodes(path, config)):
        if isinstance(found, LeftOut):
            print(found)
        else:
            episodes.append(found)
            on_episode()
    others = sorted({episode.rate for episode in episodes} - {rate})
    if others:
        names = ", ".join(f"{each:g}" for each in others)
        print(f"episodes recorded at {names} Hz are resampled to {rate:g} Hz (robot.control_rate)")
    return [at_rate(episode, rate) for episode in episodes]


def read_episodes(path: pathlib.Path, config: TrainConfig) -> list[Episode]:
    """Returns all episodes of a file or folder, as recorded. Errors are those of `iterate_episodes`."""
    return [found for found in iterate_episodes(path, config) if isinstance(found, Episode)]


def iterate_episodes(path: pathlib.Path, config: TrainConfig) -> Iterator[Episode | LeftOut]:
    """Yields the episodes of a file or folder in order, as recorded. Each is read when it is asked for.

    Episodes that cannot be used and those that `recordings.leave_out_episodes` names are yielded as `LeftOut`.

    Args:
        path: a file or folder in a format of `READERS`.
        config: the settings, of which `EpisodeReader.read` says what is read.

    Raises:
        EpisodesError: where the path does not exist, is of no known format, or is damaged. The text names what was
            found.
        RegistryError: where the reader of another package cannot be used.
    """
    names = config.recordings.leave_out_episodes
    for found in find_reader(path).read(path, config):
        if isinstance(found, Episode) and is_left_out(found.source, names):
            yield LeftOut(found.source, "it is named by --leave_out_episodes")
        else:
            yield found


def find_reader(path: pathlib.Path) -> EpisodeReader:
    """Returns the reader that recognizes a file or folder.

    Raises:
        EpisodesError: where the path does not exist, no reader recognizes it, or two readers of other packages do.
        RegistryError: where the reader of another package cannot be used.
    """
    if not path.exists():
        raise EpisodesError(f"episodes must be a file or folder, got {path}, which does not exist; check the path")
    others = {name: READERS.get(name)() for name in READERS.other_names()}
    found = {name: reader for name, reader in others.items() if reader.recognizes(path)}
    if len(found) > 1:
        raise EpisodesError(
            f"episodes must be of one format, got {path}, which {' and '.join(found)} recognize; uninstall the "
            "packages that you do not need"
        )
    own = {name: READERS.get(name)() for name in READERS.own_names()}
    found = found or {name: reader for name, reader in own.items() if reader.recognizes(path)}
    if not found:
        raise EpisodesError(_unknown(path, [*own.values(), *others.values()]))
    first, *rest = found
    if first in _BAGS and "aloha_hdf5_folder" in rest:
        raise EpisodesError(
            f"episodes of a folder must be of one format, got bags and {found[rest[-1]].description} in {path}; "
            "name the folders of each format one by one"
        )
    return found[first]


def _unknown(path: pathlib.Path, readers: Sequence[EpisodeReader]) -> str:
    *first, last = dict.fromkeys(reader.description for reader in readers)
    formats = f"{', '.join(first)} or {last}"
    if path.is_file():
        return f"episodes must be {formats}, got the file {path}; convert it"
    found = ", ".join(sorted(each.name for each in path.iterdir())[:10]) or "nothing"
    return f"episodes must be {formats}, got a folder with {found} in {path}; convert them"
