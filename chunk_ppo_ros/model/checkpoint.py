"""Checkpoints: openpi's layout and our own, told apart, checked, written atomically, kept or removed.

Own, one folder `step_<N>` for each policy version: `params/` and `train_state/` (Orbax), `assets/`, `metadata.json`.
openpi's: `params/` with the tree {"params": {"PaliGemma": ...}}, `assets/`. A finished folder is never changed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from chunk_ppo_ros.errors import CheckpointError
from chunk_ppo_ros.model import tree_store

FORMAT_VERSION = 1

_PARAMS, _TRAIN_STATE, _ASSETS, _METADATA = "params", "train_state", "assets", "metadata.json"
_UNFINISHED = ".unfinished_"
_STEP = re.compile(r"step_(\d+)")


def recognise(path: Path) -> Literal["own", "openpi"]:
    """Which of the two layouts a checkpoint has.

    Args:
        path: the checkpoint's folder, or its `params`.

    Raises:
        CheckpointError: when it is missing, incomplete, or neither.
    """
    names = tree_store.stored_shapes(_params_folder(path))
    tops = {name.split("/")[0] for name in names}
    if tops == {"actor_backbone", "value_head"}:
        return "own"
    if tops == {"params"} and all(name.startswith("params/PaliGemma/") for name in names):
        return "openpi"
    raise CheckpointError(
        f"{path} must hold actor_backbone and value_head, or openpi's params/PaliGemma, got {', '.join(sorted(tops))}; "
        "it is a checkpoint of another program"
    )


def load_actor(path: Path, expected: Any) -> Any:
    """The backbone's parameters of either layout.

    Args:
        path: the checkpoint's folder, or its `params`.
        expected: the tree {"PaliGemma": ...} of arrays or shapes; gives the dtypes as well.

    Returns:
        The tree of `expected` as numpy arrays.

    Raises:
        CheckpointError: when it is missing, damaged, foreign, or of other shapes, each of which is listed.
    """
    if recognise(path) == "own":
        raise CheckpointError(f"{path} is a whole checkpoint, not openpi's; load it with its value head")
    folder = _params_folder(path)
    stored = list(tree_store.stored_shapes(folder))
    suffix = "/value" if all(name.endswith("/value") for name in stored) else ""  # as openpi's trainer writes them
    names = {name: name.removeprefix("params/").removesuffix(suffix) for name in stored}
    return tree_store.load_tree(folder, expected, names=names)


def load_params(path: Path, expected: Any) -> Any:
    """All parameters, {"actor_backbone": ..., "value_head": ...}, of an own checkpoint, as numpy arrays.

    Raises:
        CheckpointError: when it is missing, damaged, or of other shapes than `expected`, each of which is listed.
    """
    return _load_own(path, _PARAMS, expected)


def load_train_state(path: Path, expected: Any) -> Any:
    """The training state of an own checkpoint, in the structure of `expected`, as numpy arrays.

    Raises:
        CheckpointError: as `load_params`.
    """
    return _load_own(path, _TRAIN_STATE, expected)


def read_metadata(path: Path) -> dict[str, Any]:
    """The `metadata.json` of an own checkpoint.

    Raises:
        CheckpointError: when it is missing, damaged or of another format version.
    """
    file = path / _METADATA
    try:
        metadata = json.loads(file.read_text())
        version = metadata["format_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}; take another checkpoint") from error
    if version != FORMAT_VERSION:
        raise CheckpointError(f"{file} must have format_version {FORMAT_VERSION}, got {version}; use its own release")
    return metadata


def save_checkpoint(
    directory: Path, *, step: int, params: Any, train_state: Any, assets: Path, metadata: Mapping[str, Any]
) -> Path:
    """Writes `step_<step>` below `directory`, whole or not at all, and returns it.

    Args:
        directory: made if missing; what an earlier, interrupted save left in it is removed.
        step: policy version, >= 0.
        params: {"actor_backbone": ..., "value_head": ...}.
        train_state: any tree of arrays.
        assets: a folder that is copied.
        metadata: what else `metadata.json` is to say; values as `json` takes them.

    Raises:
        CheckpointError: when it exists or cannot be written; earlier checkpoints stay whole.
    """

    def write(folder: Path) -> None:
        tree_store.save_tree(folder / _PARAMS, params)
        tree_store.save_tree(folder / _TRAIN_STATE, train_state)
        shutil.copytree(assets, folder / _ASSETS)
        text = {"format_version": FORMAT_VERSION, "step": step, **metadata, "checksums": _checksums(folder)}
        (folder / _METADATA).write_text(json.dumps(text, indent=2) + "\n")

    for leftover in directory.glob(f"{_UNFINISHED}step_*"):
        shutil.rmtree(leftover)
    return _write_atomically(directory / f"step_{step}", write)


def save_openpi_checkpoint(directory: Path, actor_backbone: Any, *, write_assets: Callable[[Path], object]) -> Path:
    """Writes a checkpoint in openpi's layout, whole or not at all, and returns it.

    Args:
        directory: the checkpoint's folder, which must not exist.
        actor_backbone: {"PaliGemma": ...}.
        write_assets: called with the empty `assets` folder.

    Raises:
        CheckpointError: when it exists or cannot be written.
    """

    def write(folder: Path) -> None:
        tree_store.save_tree(folder / _PARAMS, {"params": actor_backbone})
        (folder / _ASSETS).mkdir()
        write_assets(folder / _ASSETS)

    return _write_atomically(directory, write)


def check_is_free(target: Path) -> None:
    """Refuses a place that is taken; to be asked before the work whose result goes there.

    Raises:
        CheckpointError: when something is there.
    """
    if target.exists():
        raise CheckpointError(f"checkpoint {target} must not exist yet, but it does; remove it or take another name")


def newest_checkpoint(directory: Path) -> Path | None:
    """The finished `step_<N>` with the largest N, or None."""
    return max(_finished(directory), key=_step_of, default=None)


def remove_old_checkpoints(directory: Path, *, keep: int, in_use: Path) -> None:
    """Removes all finished checkpoints but the newest `keep` and the one in use."""
    oldest_first = sorted(_finished(directory), key=_step_of)
    for old in oldest_first[: max(0, len(oldest_first) - keep)]:
        if old.resolve() != in_use.resolve():
            shutil.rmtree(old.rename(directory / f"{_UNFINISHED}{old.name}"))


def _params_folder(path: Path) -> Path:
    """`path/params`, or `path` where that is the parameters' folder itself."""
    if not path.is_dir():
        raise CheckpointError(f"checkpoint {path} must be a folder, got none of that name; check the path")
    return path if tree_store.is_tree(path) else path / _PARAMS


def _load_own(path: Path, part: str, expected: Any) -> Any:
    found = _checksums(path, below=part)
    for name, checksum in read_metadata(path)["checksums"].items():
        if name.startswith(f"{part}/") and found.get(name) != checksum:
            state = "was changed" if name in found else "is missing"
            raise CheckpointError(f"{path / name} {state} since it was written; take another checkpoint")
    names = {name: name for name in tree_store.stored_shapes(path / part)}
    return tree_store.load_tree(path / part, expected, names=names)


def _checksums(folder: Path, *, below: str = "") -> dict[str, int]:
    """CRC-32 of each file of `folder/below`, by its path in `folder`; Orbax itself does not notice a changed byte."""
    files = sorted(file for file in (folder / below).rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): zlib.crc32(file.read_bytes()) for file in files}


def _write_atomically(target: Path, write: Callable[[Path], None]) -> Path:
    """Has `write` fill a temporary folder, and renames it to `target` once everything is on the disk."""
    check_is_free(target)
    temporary = target.parent / f"{_UNFINISHED}{target.name}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        write(temporary)
        for entry in [*temporary.rglob("*"), temporary]:
            _flush(entry)
        temporary.rename(target)
        _flush(target.parent)
    except Exception as error:  # Orbax and its storage raise many kinds for a full disk
        shutil.rmtree(temporary, ignore_errors=True)
        raise CheckpointError(
            f"checkpoint {target} cannot be written: {error}; make room or mend the folder's permissions"
        ) from error
    return target


def _flush(path: Path) -> None:
    """Has the system put a file or folder on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _finished(directory: Path) -> list[Path]:
    folders = directory.iterdir() if directory.is_dir() else ()
    return [folder for folder in folders if _STEP.fullmatch(folder.name) and (folder / _METADATA).is_file()]


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step_"))
