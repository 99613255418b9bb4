"""Finds the folders of a run that commands are called for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.data.store import Contents, read_store
from chunk_ppo_ros.model.checkpoints.step_folders import step_folders

STORES = "store"
"""The name of the folder of a run in which its stores are."""
_TRIES = 5  # A run that goes on removes files while they are looked at.


@dataclasses.dataclass(frozen=True)
class RunFolders:
    """A run that has stores, or at least checkpoints.

    Attributes:
        folder: the folder of the run.
        checkpoint_folder: the folder of its checkpoints, which may be missing.
    """

    folder: Path
    checkpoint_folder: Path

    @classmethod
    def find(
        cls, name: str, *, checkpoints: str = "", runs: Path = Path("runs"), needs_stores: bool = True
    ) -> RunFolders:
        """Returns a run.

        Args:
            name: the path of its folder, or its name below `runs`.
            checkpoints: the folder of its checkpoints. Empty takes the folder of the run's name in checkpoints/, beside
                the folder of the runs.
            runs: the folder of the runs.
            needs_stores: whether the run must have stores. Otherwise a folder beside whose run there are checkpoints
                does too, as those of the command train.

        Raises:
            UserError: when no such folder has stores; the text lists the runs that have.
        """
        for folder in (Path(name), runs / name):
            beside = folder.absolute().parent.parent / "checkpoints" / folder.absolute().name
            found = cls(folder, Path(checkpoints) if checkpoints else beside)
            is_trained = folder.is_dir() and bool(step_folders(found.checkpoint_folder))
            if (folder / STORES).is_dir() or (is_trained and not needs_stores):
                return found
        existing = sorted(path.parent.name for path in runs.glob(f"*/{STORES}"))
        raise UserError(
            f"a run must be a folder with stores, or the name of one below {runs}/, got '{name}'; the runs here are "
            f"{', '.join(existing) or 'none; start the command in the folder that has runs/'}"
        )

    def stores(self) -> list[Path]:
        """Returns the folders of its stores by name."""
        return sorted(path for path in (self.folder / STORES).iterdir() if path.is_dir())


def read_live_store(folder: Path, *, check_payloads: bool, on_file: Callable[[], object] = lambda: None) -> Contents:
    """Returns what a store holds, also while its process removes what it does not need any more.

    Raises:
        OSError: when a file cannot be read.
        UserError: when another version of this package wrote the store.
    """
    for _ in range(_TRIES):
        try:
            return read_store(folder, check_payloads=check_payloads, on_file=on_file)
        except FileNotFoundError:
            continue
    return read_store(folder, check_payloads=check_payloads, on_file=on_file)
