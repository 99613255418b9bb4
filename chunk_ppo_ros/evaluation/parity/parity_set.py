"""Reads and checks a folder of reference data that openpi computed: sizes, inputs, outputs and parameters.

The folder has config.json (sizes, and the place of the checkpoint), inputs.npz, outputs.npz, an Orbax checkpoint, and
sometimes outputs_bf16_params.npz. Shape letters: B batch, C cameras, L text slots, s height and width of an image.
"""

from __future__ import annotations

import dataclasses
import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.config.commands.checkpoints import REFERENCE_FOLDER
from chunk_ppo_ros.config.entries.model_size import ModelSize
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core_jax.arrays import Params
from chunk_ppo_ros.core_jax.named_leaves import HasShape
from chunk_ppo_ros.model.backbone.pi0_fast import Pi0FAST
from chunk_ppo_ros.model.checkpoints.checkpoint import ACTOR_PREFIX, Checkpoint

Arrays = Mapping[str, np.ndarray]

_IMAGE, _IMAGE_MASK = "image_", "image_mask_"
_TEXT = {
    "tokens": "tokenized_prompt",
    "text_mask": "tokenized_prompt_mask",
    "causal": "token_ar_mask",
    "scored": "token_loss_mask",
    "prompt": "infer_tokenized_prompt",
    "prompt_mask": "infer_tokenized_prompt_mask",
}
_TEXT_TYPES = {"tokens": np.int32, "prompt": np.int32}


class ReferenceError(UserError):
    """A folder holds no reference data, or its data contradict each other."""


@dataclasses.dataclass(frozen=True)
class ReferenceSet:
    """Reference data and the configuration of their model.

    Attributes:
        config: our configuration with the same sizes.
        checkpoint: folder that the parameters were read from.
        params: parameters {"PaliGemma": ...}, float32.
        images: float32 [B, C, s, s, 3], RGB levels 0..255, at the model's size.
        image_mask: bool [B, C], false where a camera is missing.
        tokens: int32 [B, L], prompt and answer one after the other, padded with 0.
        text_mask: bool [B, L], true for valid tokens, contiguous from slot 0.
        causal: bool [B, L], true for the answer's tokens.
        scored: bool [B, L], true for tokens that count in the loss.
        prompt: int32 [B, L], prompt without the answer, padded with 0.
        prompt_mask: bool [B, L], true for valid tokens of the prompt.
        outputs: numbers of the reference in float32, by name.
        bfloat16_outputs: numbers of the reference with parameters in bfloat16, by name; empty where there are none.
    """

    config: Pi0FASTActorCriticConfig
    checkpoint: Path
    params: Params
    images: np.ndarray
    image_mask: np.ndarray
    tokens: np.ndarray
    text_mask: np.ndarray
    causal: np.ndarray
    scored: np.ndarray
    prompt: np.ndarray
    prompt_mask: np.ndarray
    outputs: Arrays
    bfloat16_outputs: Arrays

    def rows(self, count: int) -> ReferenceSet:
        """Returns the inputs of the first `count` rows of the batch, with the outputs as they are."""
        names = ("images", "image_mask", "tokens", "text_mask", "causal", "scored", "prompt", "prompt_mask")
        return dataclasses.replace(self, **{name: getattr(self, name)[:count] for name in names})


def read_reference_set(folder: Path) -> ReferenceSet:
    """Reads a folder of reference data.

    Raises:
        ReferenceError: when a file is missing or damaged, or the files contradict each other.
        CheckpointError: when the checkpoint is damaged or does not have the sizes that config.json states.
    """
    try:
        return _read(folder)
    except (ValueError, IndexError, TypeError, OverflowError) as error:  # numpy's errors of shapes and types
        raise ReferenceError(
            f"{folder} holds arrays that do not fit each other: {error}; take another folder"
        ) from error


def _read(folder: Path) -> ReferenceSet:
    sizes, inputs = _read_json(folder / "config.json"), _read_arrays(folder, "inputs.npz")
    bfloat16 = folder / "outputs_bf16_params.npz"
    place = _checkpoint_folder(folder, sizes)
    checkpoint = Checkpoint.open(place)
    config = _model_config(folder, sizes, inputs, checkpoint.leaves)
    expected = jax.eval_shape(lambda: Pi0FAST.from_config(config).init(key=jax.random.key(0)))
    text = {name: _array(folder, inputs, stored) for name, stored in _TEXT.items()}
    reference = ReferenceSet(
        config=config,
        checkpoint=place,
        params=checkpoint.load_actor(expected),
        images=np.stack([_fit(inputs[_IMAGE + camera], config.image_size) for camera in config.cameras], axis=1),
        image_mask=np.stack([_array(folder, inputs, _IMAGE_MASK + camera) for camera in config.cameras], axis=1),
        outputs=_read_arrays(folder, "outputs.npz"),
        bfloat16_outputs=_read_arrays(folder, bfloat16.name) if bfloat16.exists() else {},
        **{name: array.astype(_TEXT_TYPES.get(name, bool)) for name, array in text.items()},
    )
    _check_text(folder, reference)
    return reference


def _read_json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ReferenceError(f"{file} cannot be read: {error}; name {REFERENCE_FOLDER}") from error
    if not isinstance(value, dict):
        raise ReferenceError(f"{file} must hold one object, got {type(value).__name__}; take another folder")
    return value


def _read_arrays(folder: Path, name: str) -> Arrays:
    try:
        with np.load(folder / name) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise ReferenceError(f"{folder / name} cannot be read: {error}; take another folder") from error
    if not arrays:
        raise ReferenceError(f"{folder / name} must have arrays, got none; take another folder")
    return arrays


def _array(folder: Path, inputs: Arrays, name: str) -> np.ndarray:
    if name not in inputs:
        raise ReferenceError(f"{folder}/inputs.npz must have '{name}', got {', '.join(sorted(inputs))}")
    return inputs[name]


def _checkpoint_folder(folder: Path, sizes: Mapping[str, Any]) -> Path:
    """Returns the folder of the checkpoint that config.json names.

    It is looked for in `folder`, with the whole name and without its first part, and then beside `folder`.
    """
    stated = Path(str(sizes.get("checkpoint", "checkpoint/params")))
    places = [folder / stated, folder.joinpath(*stated.parts[1:]), folder.parent / stated]
    for place in places:
        if Checkpoint.is_at(place):
            return place
    looked = ", ".join(dict.fromkeys(str(place) for place in places))
    raise ReferenceError(f"config.json's checkpoint '{stated}' must be an Orbax folder, got none at {looked}")


def _model_config(
    folder: Path, sizes: Mapping[str, Any], inputs: Arrays, stored: Mapping[str, HasShape]
) -> Pi0FASTActorCriticConfig:
    """Returns our configuration with the reference's sizes.

    The rank of adapters and the size of images follow from the shapes of the stored parameters.
    """
    leaves = {name.removeprefix(f"{ACTOR_PREFIX}PaliGemma/"): leaf for name, leaf in stored.items()}
    ranks = {leaf.shape[-1] for name, leaf in leaves.items() if name.endswith("einsum/lora_a")}
    cameras = sorted(
        name.removeprefix(_IMAGE) for name in inputs if name.startswith(_IMAGE) and not name.startswith(_IMAGE_MASK)
    )
    try:
        image_tower, decoder = sizes["siglip"], sizes["gemma"]
        patch = leaves["img/embedding/kernel"].shape[0]
        return Pi0FASTActorCriticConfig(
            paligemma_variant="gemma_2b",
            cameras=tuple(cameras),
            max_token_len=_array(folder, inputs, "tokenized_prompt").shape[1],
            max_action_tokens=4,
            patch_size=patch,
            image_size=patch * math.isqrt(leaves["img/pos_embedding"].shape[1]),
            vocab_size=decoder["vocab_size"],
            lora_rank=max(ranks, default=0),
            tower_sizes=ModelSize.from_numbers(siglip=image_tower, gemma=decoder).settings,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ReferenceError(f"{folder}/config.json does not describe a model: {error}; take another folder") from error


def _fit(images: np.ndarray, size: int) -> np.ndarray:
    """Returns images uint8 [B, h, w, 3] resized with black bars, float32 [B, size, size, 3], RGB levels 0..255.

    openpi's model first scales images to -1..1, and then resizes them without rounding. Its data transforms do round.
    """
    height, width = images.shape[1:3]
    if (height, width) == (size, size):
        return images.astype(np.float32)
    shrink = max(height / size, width / size)
    inner = (int(height / shrink), int(width / shrink))
    bars = [((size - length) // 2, size - length - (size - length) // 2) for length in inner]
    scaled = jnp.asarray(images.astype(np.float32) / 255.0 * 2.0 - 1.0)
    resized = jax.image.resize(scaled, (len(images), *inner, 3), "linear").clip(-1.0, 1.0)
    levels = (np.asarray(resized) + 1.0) * 127.5
    return np.pad(levels, ((0, 0), *bars, (0, 0)))


def _check_text(folder: Path, reference: ReferenceSet) -> None:
    """Checks that each row has prompt, answer and pads in this order, and that the separate prompt is the same."""
    answer, pads = reference.causal & reference.text_mask, ~reference.text_mask
    order = np.where(pads, 2, np.where(answer, 1, 0))
    if np.any(np.diff(order, axis=1) < 0) or not np.array_equal(order == 0, reference.prompt_mask):
        raise ReferenceError(
            f"{folder}/inputs.npz must have in every row a prompt, an answer and pads in this order, and the prompt "
            "alone as infer_tokenized_prompt, got another order; take another folder"
        )
