"""Checkpoints: openpi's layout and our own, told apart, checked, written atomically, kept or removed.

Own, one folder `step_<N>` for each policy version: `params/` and `train_state/` (Orbax), `assets/`, `metadata.json`.
openpi's: `params/` with the tree {"params": {"PaliGemma": ...}}, `assets/`; ours have `checksums.json` beside, which
openpi ignores. A finished folder is never changed. Whatever cannot be read is a CheckpointError.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import jax

from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.model.checkpoints import atomic_folder, metadata_file, orbax_trees
from chunk_ppo_ros.model.checkpoints.orbax_trees import HasShape

ACTOR = "actor_backbone/"
"""Prefix of the names of the backbone's leaves."""

_PARAMS, _TRAIN_STATE, _ASSETS = "params", "train_state", "assets"
_METADATA, _CHECKSUMS = "metadata.json", "checksums.json"
check_is_free = atomic_folder.check_is_free

_STEP = re.compile(r"step_(\d+)")
_TRAIN_STATE_ADVICE = "resume with what the run trained and froze (ppo.freeze_*) and with its optimizer"


@dataclasses.dataclass(frozen=True)
class _Opened:
    """A checkpoint of a known layout.

    Attributes:
        root: its folder.
        kind: "own" or "openpi".
        stored: shape and dtype of each parameter by its stored name.
        names: stored name -> our name, "actor_backbone/..." or "value_head/...".
    """

    root: Path
    kind: Literal["own", "openpi"]
    stored: Mapping[str, HasShape]
    names: Mapping[str, str]

    def check_unchanged(self, below: str) -> bool:
        """Refuses files that were changed since they were written; false where there are no checksums to tell by."""
        file = self.root / _CHECKSUMS
        if self.kind == "own":
            known = read_metadata(self.root)["checksums"]
        else:
            known = metadata_file.read_json(file) if file.exists() else {}
        atomic_folder.check_unchanged(self.root, known, below=below)
        has_some = any(name.startswith(f"{below}/") for name in known)
        if self.kind == "own" and not has_some:
            raise CheckpointError(f"{self.root / _METADATA} must have checksums of {below}/; take another checkpoint")
        return has_some


def recognise(path: Path) -> Literal["own", "openpi"]:
    """Which of the two layouts a checkpoint has.

    Args:
        path: the checkpoint's folder, or its `params`.

    Raises:
        CheckpointError: when it is missing, incomplete, or neither.
    """
    return _open(path).kind


def assets_folder(path: Path) -> Path:
    """The `assets` of a checkpoint, which may be given by its `params`."""
    with _readable(path):
        return _root(path) / _ASSETS


def stored_leaves(path: Path) -> dict[str, HasShape]:
    """Shape and dtype of each parameter of either layout, by our names: "actor_backbone/..." and "value_head/...".

    Raises:
        CheckpointError: as `recognise`.
    """
    opened = _open(path)
    return {opened.names[name]: leaf for name, leaf in opened.stored.items()}


def load_leaves(
    path: Path,
    expected: Any,
    *,
    ignored: Collection[str] = (),
    sharding: Any = None,
    before_reading: Callable[[], object] = lambda: None,
) -> Any:
    """Parameters of either layout.

    Args:
        path: the checkpoint's folder, or its `params`.
        expected: tree of arrays or shapes, or dict of them by name; gives the dtypes as well.
        ignored: names of stored leaves that are left out.
        sharding: where they go, as `tree_store.load_tree` takes it.
        before_reading: called once all is checked that can be without reading; may free what is to be replaced.

    Returns:
        The tree of `expected` as `jax.Array`s, read straight to their devices.

    Raises:
        CheckpointError: when it is missing, damaged, foreign, or of other shapes, each of which is listed.
    """
    opened = _open(path)
    with _readable(path):
        verified = opened.check_unchanged(_PARAMS)
    names = {stored: name for stored, name in opened.names.items() if name not in ignored}
    return orbax_trees.load_tree(
        opened.root / _PARAMS,
        expected,
        names=names,
        stored=opened.stored,
        sharding=sharding,
        verified=verified,
        before_reading=before_reading,
    )


def load_params(path: Path, expected: Any, *, before_reading: Callable[[], object] = lambda: None) -> Any:
    """All parameters, {"actor_backbone": ..., "value_head": ...}, of an own checkpoint; see `load_leaves`."""
    return load_leaves(path, expected, before_reading=before_reading)


def load_actor(path: Path, expected: Any, *, sharding: Any = None) -> Any:
    """The backbone's parameters, {"PaliGemma": ...}, of either layout, without a value head; see `load_leaves`."""
    heads = [name for name in stored_leaves(path) if not name.startswith(ACTOR)]
    places = None if sharding is None else {"actor_backbone": sharding}
    loaded = load_leaves(path, {"actor_backbone": expected}, ignored=heads, sharding=places)
    return loaded["actor_backbone"]


def load_train_state(path: Path, expected: Any, *, absent: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """The training state of an own checkpoint, in the structure of `expected`; see `load_leaves`.

    Args:
        path: the checkpoint's folder.
        expected: tree of arrays or shapes.
        absent: names of leaves that earlier checkpoints lack -> what they are then.
    """
    opened = _open(path)
    folder = opened.root / _TRAIN_STATE
    with _readable(path):
        verified = opened.check_unchanged(_TRAIN_STATE)
        stored = orbax_trees.stored_shapes(folder)
    names = {name: name for name in stored}
    wanted = orbax_trees.name_leaves(expected)
    filled = {name: leaf for name, leaf in absent.items() if name not in stored}
    there = {name: leaf for name, leaf in wanted.items() if name not in filled}
    filled |= orbax_trees.load_tree(
        folder, there, names=names, stored=stored, verified=verified, advice=_TRAIN_STATE_ADVICE
    )
    return jax.tree.unflatten(jax.tree.structure(expected), [filled[name] for name in wanted])


def check_assets(path: Path) -> None:
    """Refuses an own checkpoint whose assets were changed.

    Raises:
        CheckpointError: naming the first file.
    """
    with _readable(path):
        _open(path).check_unchanged(_ASSETS)


def read_metadata(path: Path) -> dict[str, Any]:
    """The `metadata.json` of an own checkpoint.

    Raises:
        CheckpointError: when it is missing, damaged, changed, or of another format version.
    """
    return metadata_file.read_metadata_file(_root(path) / _METADATA)


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
        metadata: what else `metadata.json` is to say, "model", "counters" and "provenance"; values as `json` has them.

    Raises:
        CheckpointError: when it exists or cannot be written; earlier checkpoints stay whole.
    """

    def write(folder: Path) -> None:
        orbax_trees.save_tree(folder / _PARAMS, params)
        orbax_trees.save_tree(folder / _TRAIN_STATE, train_state)
        shutil.copytree(assets, folder / _ASSETS)
        said = {"step": step, **metadata, "checksums": atomic_folder.checksums(folder)}
        metadata_file.write_metadata_file(folder / _METADATA, said)

    for leftover in directory.glob(f"{atomic_folder.UNFINISHED}step_*"):
        shutil.rmtree(leftover)
    return atomic_folder.write_atomically(directory / f"step_{step}", write)


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
        orbax_trees.save_tree(folder / _PARAMS, {"params": actor_backbone})
        (folder / _ASSETS).mkdir()
        write_assets(folder / _ASSETS)
        (folder / _CHECKSUMS).write_text(json.dumps(atomic_folder.checksums(folder, below=_PARAMS), indent=2) + "\n")

    return atomic_folder.write_atomically(directory, write)


def newest_checkpoint(directory: Path) -> Path | None:
    """The finished `step_<N>` with the largest N, or None."""
    return max(_finished(directory), key=_step_of, default=None)


def remove_old_checkpoints(directory: Path, *, keep: int, in_use: Path) -> None:
    """Removes all finished checkpoints but the newest `keep` and the one in use."""
    oldest_first = sorted(_finished(directory), key=_step_of)
    for old in oldest_first[: max(0, len(oldest_first) - keep)]:
        if old.resolve() != in_use.resolve():
            shutil.rmtree(old.rename(directory / f"{atomic_folder.UNFINISHED}{old.name}"))


def _root(path: Path) -> Path:
    """The checkpoint's folder, where `path` is that or its `params`."""
    if not path.is_dir():
        raise CheckpointError(f"checkpoint {path} must be a folder, got none of that name; check the path")
    if orbax_trees.is_tree(path):
        return path.parent
    if not (path / _PARAMS).is_dir():
        there = ", ".join(sorted(child.name for child in path.iterdir())[:8]) or "an empty folder"
        raise CheckpointError(
            f"checkpoint {path} must have a folder {_PARAMS}, got: {there}; take a checkpoint of openpi's JAX models "
            "or of chunk_ppo_ros"
        )
    return path


def _open(path: Path) -> _Opened:
    """Recognises a checkpoint by the names of its parameters."""
    with _readable(path):
        root = _root(path)
        stored = orbax_trees.stored_shapes(root / _PARAMS)
    tops = {name.split("/")[0] for name in stored}
    if tops == {"actor_backbone", "value_head"}:
        return _Opened(root, "own", stored, {name: name for name in stored})
    if tops == {"params"} and all(name.startswith("params/PaliGemma/") for name in stored):
        suffix = "/value" if all(name.endswith("/value") for name in stored) else ""  # as openpi's trainer writes them
        names = {name: ACTOR + name.removeprefix("params/").removesuffix(suffix) for name in stored}
        return _Opened(root, "openpi", stored, names)
    raise CheckpointError(
        f"{path} must hold actor_backbone and value_head, or openpi's params/PaliGemma, got {', '.join(sorted(tops))}; "
        "it is a checkpoint of another program"
    )


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns what the file system refuses into a CheckpointError."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be read: {error}; mend its permissions") from error


def _finished(directory: Path) -> list[Path]:
    with _readable(directory):
        folders = directory.iterdir() if directory.is_dir() else ()
        return [folder for folder in folders if _STEP.fullmatch(folder.name) and (folder / _METADATA).is_file()]


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step_"))
