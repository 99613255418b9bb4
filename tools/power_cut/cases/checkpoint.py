"""The checkpoints of a run, which are announced when they are on disk."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from chunk_ppo_ros.core.consumption.consumed import NOTHING_CONSUMED, Consumed
from power_cut.case import Case, numbers, say

_NUM_CHECKPOINTS = 3
_KEPT = 2
_NUM_WEIGHTS = 64


class CheckpointCase(Case):
    """Saves checkpoints by Orbax and removes old ones, as a learner does."""

    name = "checkpoint"

    def __init__(self) -> None:
        """Begins without verdicts. JAX is imported late, because most cases do not need it."""
        self._read_faults = ContentFaults(read_fault)

    def write(self, folder: Path, session: int) -> None:
        """Saves and announces one checkpoint after the other."""
        for version in range(_NUM_CHECKPOINTS):
            save(folder / "checkpoints", version)
            say(f"ANNOUNCED {version}")

    def judge(self, folder: Path, said: Sequence[str]) -> str:
        """Opens the newest checkpoint as a resumed run does, and compares all that is in it."""
        from chunk_ppo_ros.model.checkpoints.step_folders import newest_checkpoint

        newest = newest_checkpoint(folder / "checkpoints")
        announced = max(numbers(said, "ANNOUNCED"), default=-1)
        version = -1 if newest is None else int(newest.name.removeprefix("step_"))
        if version < announced:
            return f"version {announced} was announced, but the newest checkpoint is {version}"
        return "" if newest is None else self._read_faults.of(newest, version)


class ContentFaults:
    """Says what is wrong with the content of checkpoints. Those of the same bytes are read once."""

    def __init__(self, read: Callable[[Path, int], str]) -> None:
        self._read = read
        self._verdicts: dict[bytes, str] = {}

    def of(self, checkpoint: Path, version: int) -> str:
        """Returns what is wrong with the checkpoint of a version, or an empty text."""
        digest = digest_of(checkpoint)
        if digest not in self._verdicts:
            self._verdicts[digest] = self._read(checkpoint, version)
        return self._verdicts[digest]


def digest_of(folder: Path) -> bytes:
    """Returns a digest of all files in a folder, with their names."""
    digest = hashlib.blake2b()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return digest.digest()


def save(directory: Path, version: int, made_from: Consumed | None = None) -> None:
    """Saves the checkpoint of a version, whose arrays follow from the version, and removes old ones.

    Args:
        directory: the folder of the checkpoints.
        version: the version.
        made_from: the chunks that the weights were made from, or None for those of `consumed`.
    """
    from chunk_ppo_ros.config import PRESETS
    from chunk_ppo_ros.core.progress import Counters
    from chunk_ppo_ros.model.checkpoints.metadata import Metadata, Provenance
    from chunk_ppo_ros.model.checkpoints.saving import save_checkpoint
    from chunk_ppo_ros.model.checkpoints.step_folders import remove_old_checkpoints

    counters = Counters("run", policy_version=version)
    with tempfile.TemporaryDirectory() as assets:
        (Path(assets) / "norm_stats.json").write_bytes(_asset(version))
        (Path(assets) / "fast").mkdir()
        (Path(assets) / "fast" / "tokenizer.json").write_bytes(_asset(version + 1))
        newest = save_checkpoint(
            directory,
            step=version,
            params=_params(version),
            train_state={"moment": _weights(version + 100)},
            assets=Path(assets),
            metadata=Metadata.of(PRESETS["debug"], counters=counters, provenance=Provenance("scratch")),
            consumed=consumed(version) if made_from is None else made_from,
        )
    remove_old_checkpoints(directory, keep=_KEPT, in_use=newest)


def read_fault(folder: Path, version: int, made_from: Consumed | None = None) -> str:
    """Returns what differs from the version in a checkpoint that reads without an error, or an empty text.

    Args:
        folder: the folder of the checkpoint.
        version: the version.
        made_from: the chunks that the weights were made from, or None for those of `consumed`.

    Raises:
        CheckpointError: when the checkpoint is refused.
    """
    from chunk_ppo_ros.core.progress import Counters
    from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint

    checkpoint = Checkpoint.open(folder)
    checkpoint.check_assets()
    params = checkpoint.load_leaves(_params(version))
    state = checkpoint.load_train_state({"moment": _weights(version)})
    same = {
        "consumed": checkpoint.load_consumed() == (consumed(version) if made_from is None else made_from),
        "counters": checkpoint.require_metadata().counters == Counters("run", policy_version=version),
        "params": all(
            np.array_equal(params[name]["weights"], leaf["weights"]) for name, leaf in _params(version).items()
        ),
        "train_state": np.array_equal(state["moment"], _weights(version + 100)),
        "assets": (checkpoint.assets / "norm_stats.json").read_bytes() == _asset(version)
        and (checkpoint.assets / "fast" / "tokenizer.json").read_bytes() == _asset(version + 1),
    }
    return ", ".join(f"{name} of version {version} differ" for name, holds in same.items() if not holds)


def consumed(version: int) -> Consumed:
    """Returns the chunks that the weights of a version were made from: three for each update."""
    made = NOTHING_CONSUMED
    for update in range(version):
        made = made.after(update + 1, [("robot_0", 3 * update + each) for each in (1, 0, 2)], num_processors=2)
    return made


def _params(version: int) -> dict[str, dict[str, np.ndarray]]:
    return {name: {"weights": _weights(version + seed)} for seed, name in enumerate(("actor_backbone", "value_head"))}


def _weights(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=_NUM_WEIGHTS).astype(np.float32)


def _asset(version: int) -> bytes:
    return f"an asset of version {version}\n".encode()
