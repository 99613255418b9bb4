"""A success classifier: a small convolutional network that tells from the cameras' images whether the task is solved.

Here are the network, its file and what it says of images. `train_classifier.py` trains it, and classifier_node makes
it a source of rewards.
"""

from __future__ import annotations

import dataclasses
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.robot.images import resize_with_pad

IMAGE_SIZE = 64  # pixels, side of each camera's image
FORMAT = 1
_METADATA = "metadata"


class ClassifierError(UserError):
    """A classifier cannot be read, or not be trained on what is given."""


class SuccessNetwork(nn.Module):
    """[B, 64, 64, 3 C], 0..1, to logits [B] of success: four strided convolutions and two dense layers."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        hidden = images - 0.5
        for channels in (16, 32, 32, 32):
            hidden = nn.relu(nn.Conv(channels, (3, 3), strides=2)(hidden))
        hidden = nn.relu(nn.Dense(64)(hidden.reshape(len(hidden), -1)))
        return nn.Dense(1)(hidden)[:, 0]


_NETWORK = SuccessNetwork()


def init(num_cameras: int, *, key: jax.Array) -> Any:
    """Fresh parameters."""
    return jax.jit(_NETWORK.init)(key, jnp.zeros((1, IMAGE_SIZE, IMAGE_SIZE, 3 * num_cameras)))


def logits(params: Any, images: Any) -> jax.Array:
    """Logits [B] of success.

    Args:
        params: of the network.
        images: uint8 or float [B, C, 64, 64, 3], 0..255.
    """
    batch, cameras = images.shape[:2]
    stacked = jnp.moveaxis(jnp.asarray(images, jnp.float32) / 255.0, 1, 3)
    result: Any = _NETWORK.apply(params, stacked.reshape(batch, IMAGE_SIZE, IMAGE_SIZE, 3 * cameras))
    return result


_probabilities = jax.jit(lambda params, images: jax.nn.sigmoid(logits(params, images)))


@dataclasses.dataclass(frozen=True)
class SuccessClassifier:
    """A trained classifier.

    Attributes:
        params: of the network.
        cameras: the robot's names of the C cameras, in order.
        threshold: probability from which on the task counts as solved.
        held_out_accuracy: on images of episodes that were not trained on.
    """

    params: Any
    cameras: tuple[str, ...]
    threshold: float
    held_out_accuracy: float

    def probability(self, images: Mapping[str, np.ndarray]) -> float:
        """Probability of success, from an image uint8 [h, w, 3] of each camera, by name."""
        fitted = fit([images[camera] for camera in self.cameras])
        return float(_probabilities(self.params, fitted[None])[0])

    def save(self, path: Path) -> None:
        """Writes the file, whole or not at all."""
        metadata = {**dataclasses.asdict(dataclasses.replace(self, params=None)), "format": FORMAT}
        del metadata["params"]
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        with unfinished.open("wb") as file:
            arrays: dict[str, Any] = flax.traverse_util.flatten_dict(jax.device_get(self.params), sep="/")
            np.savez(file, **{_METADATA: np.array(json.dumps(metadata)), **arrays})
        unfinished.replace(path)

    @classmethod
    def load(cls, path: Path) -> SuccessClassifier:
        """Reads a file that `save` wrote.

        Raises:
            ClassifierError: where there is none, or it is something else.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            metadata = json.loads(str(arrays.pop(_METADATA)))
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ClassifierError(
                f"reward.classifier must be a file of `train-classifier`, got {path}: {error}; train one, or leave "
                "classifier out of reward.sources"
            ) from error
        if metadata.pop("format", None) != FORMAT:
            raise ClassifierError(f"{path} must be of format {FORMAT}, got another; train the classifier again")
        params = flax.traverse_util.unflatten_dict(arrays, sep="/")
        return cls(params=params, cameras=tuple(metadata.pop("cameras")), **metadata)


def fit(images: Sequence[np.ndarray]) -> np.ndarray:
    """Returns uint8 [C, 64, 64, 3] of images uint8 [h, w, 3], fitted into squares."""
    return np.stack([resize_with_pad(image, IMAGE_SIZE) for image in images])
