"""Reads checkpoint folders. `Checkpoint.open` recognizes a folder, and its result reads everything in it.

There are two layouts. Our own has one folder `step_<N>` for each policy version, with `params/` and `train_state/`
(Orbax), `assets/`, `consumed.json` and `metadata.json`. openpi's has `params/` with the tree
{"params": {"PaliGemma": ...}}, and `assets/`. When we write openpi's layout, `checksums.json` and `settings.json` are
beside them, which openpi ignores. A file that cannot be read raises CheckpointError. `saving.py` writes checkpoints,
and `step_folders.py` finds those of a run.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import jax

from chunk_ppo_ros.core.consumption.consumed import Consumed
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.core.made_from.history import FOREIGN, NO_HISTORY, History, Stage
from chunk_ppo_ros.core_jax.arrays import AnyArray, Params, PyTree, Scalar, ShapeTree
from chunk_ppo_ros.core_jax.named_leaves import HasShape, name_leaves
from chunk_ppo_ros.core_jax.parameter_groups import ACTOR, VALUE
from chunk_ppo_ros.model.checkpoints import atomic_folder, metadata_file, orbax_trees
from chunk_ppo_ros.model.checkpoints.consumed_file import CONSUMED, read_consumed
from chunk_ppo_ros.model.checkpoints.layouts import ACTOR_PREFIX as ACTOR_PREFIX  # those who read leaves need it
from chunk_ppo_ros.model.checkpoints.layouts import METADATA as METADATA
from chunk_ppo_ros.model.checkpoints.layouts import PARAMS as PARAMS
from chunk_ppo_ros.model.checkpoints.layouts import checkpoint_root, openpi_names
from chunk_ppo_ros.model.checkpoints.metadata import Metadata, read_history, read_metadata
from chunk_ppo_ros.model.checkpoints.run_settings import NO_SETTINGS, RunSettings

TRAIN_STATE, ASSETS = "train_state", "assets"
CHECKSUMS, SETTINGS = "checksums.json", "settings.json"

_TRAIN_STATE_ADVICE = "resume with what the run trained and froze (ppo.freeze_*) and with its optimizer"


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint of a known layout, which `Checkpoint.open` makes. A finished folder is never changed.

    Attributes:
        root: the checkpoint's folder.
        kind: the layout, "own" or "openpi".
        leaves: shape and dtype of each parameter by our name, "actor_backbone/..." or "value_head/...".
        stored_names: the name under which each parameter is stored, by our name.
        checksums: CRC-32 of files by their path in the folder; empty where the checkpoint has no checksums.
        metadata: the content of an own checkpoint's metadata.json; None for openpi's layout.
        settings: the settings of the run that wrote the checkpoint, as far as the checkpoint has them.
        history: the stages in which the checkpoint was made, the oldest first.
    """

    root: Path
    kind: Literal["own", "openpi"]
    leaves: Mapping[str, HasShape]
    stored_names: Mapping[str, str]
    checksums: Mapping[str, int]
    metadata: Metadata | None
    settings: RunSettings
    history: History = NO_HISTORY

    @classmethod
    def open(cls, path: Path) -> Checkpoint:
        """Recognizes a checkpoint by the names of its parameters and reads everything but the arrays and assets.

        Args:
            path: the checkpoint's folder, or its `params`.

        Raises:
            MissingCheckpoint: when the path is no folder, or the folder of a run, whose checkpoints are below it.
            CheckpointError: when it is incomplete, damaged, or of another program.
        """
        path = Path(path)
        with _readable(path):
            root = checkpoint_root(path)
            stored = orbax_trees.stored_shapes(root / PARAMS)
            if {name.split("/")[0] for name in stored} == {ACTOR, VALUE}:
                metadata, checksums = read_metadata(root / METADATA)
                own_names = {name: name for name in stored}
                history = metadata.history.at(str(root.resolve()))
                return cls(root, "own", stored, own_names, checksums, metadata, metadata.settings, history)
            names = openpi_names(path, stored)
            leaves = {name: stored[stored_name] for name, stored_name in names.items()}
            settings, history = _read_settings(root)
            return cls(root, "openpi", leaves, names, _read_checksums(root), None, settings, history)

    @staticmethod
    def is_at(path: Path) -> bool:
        """Returns whether a folder, or its `params`, looks like what `open` takes."""
        return orbax_trees.is_tree(path) or orbax_trees.is_tree(path / PARAMS)

    @property
    def assets(self) -> Path:
        """The folder of norm_stats and tokenizers."""
        return self.root / ASSETS

    @property
    def policy_version(self) -> int:
        """The number of updates that made the weights; 0 for openpi's layout."""
        return 0 if self.metadata is None else self.metadata.counters.policy_version

    def require_metadata(self) -> Metadata:
        """Returns the metadata of an own checkpoint.

        Raises:
            CheckpointError: when the checkpoint has openpi's layout, which has neither metadata nor training state.
        """
        if self.metadata is None:
            raise CheckpointError(
                f"{self.root} must be a checkpoint of a run to go on from, got openpi's layout; start a new run from "
                "it by --pretrained_checkpoint_path"
            )
        return self.metadata

    def load_leaves(
        self,
        expected: ShapeTree,
        *,
        ignored: Collection[str] = (),
        sharding: PyTree = None,
        before_reading: Callable[[], object] = lambda: None,
        on_read: Callable[[int], object] | None = None,
    ) -> Params:
        """Reads parameters of either layout.

        Args:
            expected: tree of arrays or shapes, or dict of them by name; it decides the dtypes as well.
            ignored: names of leaves that are left out.
            sharding: the devices of the arrays, as `leaf_shardings` takes them.
            before_reading: function that is called when everything has been checked that can be checked without reading
                arrays. It may free the arrays that the new ones replace.
            on_read: function that is called with the bytes of some arrays, once they are read.

        Returns:
            The tree of `expected` as `jax.Array`s, which are read straight to their devices.

        Raises:
            CheckpointError: when arrays are damaged or of other shapes; each of those is listed.
        """
        names = {stored: name for name, stored in self.stored_names.items() if name not in ignored}
        return orbax_trees.load_tree(
            self.root / PARAMS,
            expected,
            names=names,
            stored={stored: self.leaves[name] for stored, name in names.items()},
            sharding=sharding,
            verified=self._check_unchanged(PARAMS),
            before_reading=before_reading,
            on_read=on_read,
        )

    def load_actor(
        self, expected: ShapeTree, *, sharding: PyTree = None, on_read: Callable[[int], object] | None = None
    ) -> Params:
        """Returns the backbone's parameters, {"PaliGemma": ...}, without a value head; see `load_leaves`."""
        heads = [name for name in self.leaves if not name.startswith(ACTOR_PREFIX)]
        places = None if sharding is None else {ACTOR: sharding}
        loaded = self.load_leaves({ACTOR: expected}, ignored=heads, sharding=places, on_read=on_read)
        return loaded[ACTOR]

    def load_train_state(
        self, expected: ShapeTree, *, absent: Mapping[str, AnyArray | Scalar] = MappingProxyType({})
    ) -> PyTree:
        """Returns the training state of an own checkpoint, in the structure of `expected`; see `load_leaves`.

        Args:
            expected: tree of arrays or shapes.
            absent: the value of each leaf that earlier checkpoints lack, by its name. It is taken where the leaf is not
                stored.
        """
        verified = self._check_unchanged(TRAIN_STATE)
        with _readable(self.root):
            stored = orbax_trees.stored_shapes(self.root / TRAIN_STATE)
        wanted = name_leaves(expected)
        filled = {name: leaf for name, leaf in absent.items() if name not in stored}
        filled |= orbax_trees.load_tree(
            self.root / TRAIN_STATE,
            {name: leaf for name, leaf in wanted.items() if name not in filled},
            names={name: name for name in stored},
            stored=stored,
            verified=verified,
            advice=_TRAIN_STATE_ADVICE,
        )
        return jax.tree.unflatten(jax.tree.structure(expected), [filled[name] for name in wanted])

    def load_consumed(self) -> Consumed:
        """Returns which chunks the run of an own checkpoint has trained on.

        Raises:
            CheckpointError: when the file of it is missing or damaged, or the checkpoint has openpi's layout.
        """
        counters = self.require_metadata().counters
        if CONSUMED in self.checksums:
            return read_consumed(self.root)
        return Consumed.of_earlier_release(counters.next_sequence_number)

    def check_assets(self) -> None:
        """Refuses an own checkpoint whose assets were changed since they were written.

        Raises:
            CheckpointError: when a file was changed or is missing; the first one is named.
        """
        self._check_unchanged(ASSETS)

    def _check_unchanged(self, below: str) -> bool:
        """Refuses files that were changed since they were written. Returns false where there are no checksums of them.

        Raises:
            CheckpointError: when a file was changed or is missing, or an own checkpoint has no checksums.
        """
        with _readable(self.root):
            atomic_folder.check_unchanged(self.root, self.checksums, below=below)
        has_some = any(name.startswith(f"{below}/") for name in self.checksums)
        if self.kind == "own" and not has_some:
            raise CheckpointError(f"{self.root / METADATA} must have checksums of {below}/; take another checkpoint")
        return has_some


def _read_checksums(root: Path) -> dict[str, int]:
    file = root / CHECKSUMS
    return metadata_file.checked_checksums(file, metadata_file.read_json(file)) if file.exists() else {}


def _read_settings(root: Path) -> tuple[RunSettings, History]:
    """Returns the settings beside a checkpoint of openpi's layout, and the stages in which it was made.

    The settings are empty where another program wrote the checkpoint.
    """
    file, unknown = root / SETTINGS, Stage(FOREIGN, "weights whose making is not known")
    if not file.exists():
        return NO_SETTINGS, History((unknown,)).at(str(root.resolve()))
    content = metadata_file.read_checked(file)
    content.setdefault("made_from", {})  # Earlier releases did not write it.
    history = read_history(file, metadata_file.section_of(file, content, "made_from"))
    settings = RunSettings.read(file, metadata_file.section_of(file, content, "settings"))
    return settings, (history if history.stages else History((unknown,))).at(str(root.resolve()))


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns errors of the file system into a CheckpointError."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be read: {error}; mend its permissions") from error
