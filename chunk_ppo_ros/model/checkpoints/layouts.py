"""Recognizes the folder of a checkpoint and the model in it by names alone, and says what another folder holds."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from chunk_ppo_ros.core.errors import CheckpointError, MissingCheckpoint
from chunk_ppo_ros.core_jax.parameter_groups import ACTOR, VALUE
from chunk_ppo_ros.model.checkpoints import orbax_trees

PARAMS, METADATA = "params", "metadata.json"

ACTOR_PREFIX = f"{ACTOR}/"
"""The prefix of the names of the backbone's leaves."""

_TAKE = "take a checkpoint of openpi's JAX models (pi0-FAST) or of chunk_ppo_ros"
_FLOW_HEADS = ("action_in_proj", "action_out_proj", "state_proj", "action_time_mlp", "time_mlp")


def checkpoint_root(path: Path) -> Path:
    """Returns the checkpoint's folder, where `path` is that folder or its `params`.

    Raises:
        MissingCheckpoint: when the path is no folder, or a folder of checkpoints, as the folder of a run is.
        CheckpointError: when the folder holds something else.
    """
    if path.is_file():
        raise MissingCheckpoint(f"checkpoint {path} must be a folder, got a file; {_TAKE}")
    if not path.is_dir():
        raise MissingCheckpoint(
            f"checkpoint {path} must be a folder, got none of that name; check the path{_beside(path)}"
        )
    if orbax_trees.is_tree(path):
        if path.resolve().name != PARAMS:
            raise CheckpointError(
                f"checkpoint {path} must be a folder with {PARAMS} and assets, got Orbax's arrays themselves; move "
                f"them to CHECKPOINT/{PARAMS}, with norm_stats.json in CHECKPOINT/assets/ASSET_ID"
            )
        return path.parent
    if not (path / PARAMS).is_dir():
        _refuse(path)
    return path


def _beside(path: Path) -> str:
    """Returns the newest checkpoints of the folder in which one is missing, for a message; empty where it has none."""
    names = sorted((found.parent.name for found in path.parent.glob(f"*/{PARAMS}")), key=lambda name: (len(name), name))
    return f"; {path.parent} has {', '.join(names[-5:])}" if names else ""


def _refuse(path: Path) -> None:
    """Says what a folder without parameters holds."""
    inner = {file.parent.name for file in path.glob(f"*/{METADATA}")}
    inner |= {file.parent.parent.name for file in path.glob(f"*/{PARAMS}/{orbax_trees.TREE_FILE}")}
    if inner:
        newest = max(inner, key=lambda name: (len(name), name))
        raise MissingCheckpoint(
            f"checkpoint {path} must be one checkpoint, got a folder of checkpoints; name one of them, such as "
            f"{path / newest}"
        )
    found = ", ".join(sorted(child.name for child in path.iterdir())[:8]) or "an empty folder"
    raise CheckpointError(f"checkpoint {path} must have a folder {PARAMS}, got: {found}{_pytorch(path)}; {_TAKE}")


def _pytorch(path: Path) -> str:
    """Returns what a checkpoint of PyTorch says of itself; empty where the folder is none."""
    if not [*path.glob("*.safetensors"), *path.glob("*.pt"), *path.glob("*.bin")]:
        return ""
    try:
        config = json.loads((path / "config.json").read_text())
        kind = f", a policy of the type '{config['type']}'"
    except (OSError, ValueError, KeyError, TypeError):
        kind = ""
    return f" (weights of PyTorch{kind}, which cannot be read)"


def openpi_names(path: Path, stored: Collection[str]) -> dict[str, str]:
    """Returns the stored name of each parameter of openpi's layout, by our name.

    Raises:
        CheckpointError: when the layout is another one. A pi0 or pi0.5 is named as such.
    """
    _refuse_flow_models(path, stored)
    if not all(name.startswith("params/PaliGemma/") for name in stored):
        tops = ", ".join(sorted({name.split("/")[0] for name in stored}))
        raise CheckpointError(
            f"{path} must hold {ACTOR} and {VALUE}, or openpi's params/PaliGemma, got {tops}; it is a "
            "checkpoint of another program"
        )
    suffix = "/value" if all(name.endswith("/value") for name in stored) else ""  # openpi's trainer writes the suffix.
    return {ACTOR_PREFIX + name.removeprefix("params/").removesuffix(suffix): name for name in stored}


def _refuse_flow_models(path: Path, stored: Collection[str]) -> None:
    """Refuses pi0 and pi0.5, whose actions come from a second Gemma by flow matching and not from tokens."""
    parts = {part for name in stored for part in name.split("/")}
    heads = sorted(part for part in parts if part.startswith(_FLOW_HEADS))
    expert = sorted(part for part in parts if part.endswith("_1") and part.removesuffix("_1") in parts)
    if not heads and not expert:
        return
    model = "pi0" if {"state_proj", "action_time_mlp_in"} & set(heads) else "pi0.5" if "time_mlp_in" in heads else ""
    raise CheckpointError(
        f"{path} must be a pi0-FAST, got {model or 'pi0 or pi0.5'}, which has an action expert for flow matching "
        f"({', '.join([*heads, *expert][:3])}) and no action tokens; take pi0_fast_base, or a fine-tuned pi0-FAST"
    )
