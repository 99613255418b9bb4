"""The success classifier, a small convolutional network that decides from camera images whether the task is solved.

This module has the network, its file and its prediction. `train_classifier.py` trains it. classifier_node makes it a
source of rewards.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from chunk_ppo_ros.core.atomic_file import write_atomically
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core_jax.arrays import AnyArray, Key, Params
from chunk_ppo_ros.robot.images import resize_with_pad

IMAGE_SIZE = 64
"""The height and width of each camera's image for the network, pixels."""

FORMAT = 1
_METADATA = "metadata"


class ClassifierError(UserError):
    """A classifier cannot be read, or cannot be trained on the given episodes."""


class SuccessNetwork(nn.Module):
    """Four strided convolutions and two dense layers, from images [B, 64, 64, 3 C], 0..1, to success logits [B]."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        hidden = images - 0.5
        for channels in (16, 32, 32, 32):
            hidden = nn.relu(nn.Conv(channels, (3, 3), strides=2)(hidden))
        hidden = nn.relu(nn.Dense(64)(hidden.reshape(len(hidden), -1)))
        return nn.Dense(1)(hidden)[:, 0]


_NETWORK = SuccessNetwork()


def init(num_cameras: int, *, key: Key) -> Params:
    """Returns fresh parameters."""
    return jax.jit(_NETWORK.init)(key, jnp.zeros((1, IMAGE_SIZE, IMAGE_SIZE, 3 * num_cameras)))


def logits(params: Params, images: AnyArray) -> jax.Array:
    """Returns the logits [B] of success.

    Args:
        params: parameters of the network.
        images: uint8 or float [B, C, 64, 64, 3], 0..255.
    """
    batch, cameras = images.shape[:2]
    stacked = jnp.moveaxis(jnp.asarray(images, jnp.float32) / 255.0, 1, 3)
    return jnp.asarray(_NETWORK.apply(params, stacked.reshape(batch, IMAGE_SIZE, IMAGE_SIZE, 3 * cameras)))


_probabilities = jax.jit(lambda params, images: jax.nn.sigmoid(logits(params, images)))


@dataclasses.dataclass(frozen=True)
class SuccessClassifier:
    """A trained classifier.

    Attributes:
        params: parameters of the network.
        cameras: names of the C cameras, as the robot calls them, in order.
        threshold: smallest probability at which the task counts as solved.
        held_out_accuracy: accuracy on images of episodes that were not trained on, 0..1.
    """

    params: Params
    cameras: tuple[str, ...]
    threshold: float
    held_out_accuracy: float

    def probability(self, images: Mapping[str, np.ndarray]) -> float:
        """Returns the probability of success, from an image uint8 [h, w, 3] of each camera by name."""
        fitted = fit([images[camera] for camera in self.cameras])
        return float(_probabilities(self.params, fitted[None])[0])

    def save(self, path: Path) -> None:
        """Writes the file, so that a crash leaves a whole file or none."""
        metadata = {**dataclasses.asdict(dataclasses.replace(self, params=None)), "format": FORMAT}
        del metadata["params"]
        weights: dict[str, np.ndarray] = flax.traverse_util.flatten_dict(jax.device_get(self.params), sep="/")
        arrays = {_METADATA: np.array(json.dumps(metadata)), **weights}
        write_atomically(path, lambda file: np.savez(file, allow_pickle=False, **arrays))

    @classmethod
    def load(cls, path: Path) -> SuccessClassifier:
        """Reads a file that `save` wrote.

        Raises:
            ClassifierError: when there is no such file, it is not a classifier of this format, or a number in it
                cannot be right.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            metadata = json.loads(str(arrays.pop(_METADATA)))
        except (OSError, EOFError, ValueError, KeyError, RecursionError, zipfile.BadZipFile, zlib.error) as error:
            raise ClassifierError(
                f"reward.classifier must be a file of `train-classifier`, got {path}: {error}; train one, or leave "
                "classifier out of reward.sources"
            ) from error
        if not isinstance(metadata, dict) or metadata.pop("format", None) != FORMAT:
            raise ClassifierError(f"{path} must be of format {FORMAT}, got another; train the classifier again")
        cameras, threshold, accuracy = _checked_metadata(path, metadata)
        _check_weights(path, arrays, num_cameras=len(cameras))
        return cls(flax.traverse_util.unflatten_dict(arrays, sep="/"), cameras, threshold, accuracy)


def _checked_metadata(path: Path, metadata: Mapping[str, object]) -> tuple[tuple[str, ...], float, float]:
    """Returns the cameras, the threshold and the held-out accuracy that a file says."""
    cameras = metadata.get("cameras")
    if not isinstance(cameras, list) or not cameras or not all(isinstance(camera, str) for camera in cameras):
        raise ClassifierError(f"{path} must name its cameras, got {cameras!r}; train the classifier again")
    shares = []
    for name in ("threshold", "held_out_accuracy"):
        value = metadata.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
            raise ClassifierError(f"{name} of {path} must be within 0..1, got {value!r}; train the classifier again")
        shares.append(float(value))
    threshold, accuracy = shares
    return tuple(cameras), threshold, accuracy


def _check_weights(path: Path, arrays: Mapping[str, np.ndarray], *, num_cameras: int) -> None:
    """Refuses weights that are not those of the network, or not finite."""
    expected: dict[str, jax.ShapeDtypeStruct] = flax.traverse_util.flatten_dict(
        jax.eval_shape(lambda: init(num_cameras, key=jax.random.key(0))), sep="/"
    )
    for name in sorted(expected.keys() | arrays.keys()):
        found = str(arrays[name].shape) if name in arrays else "nothing"
        wanted = str(expected[name].shape) if name in expected else "nothing"
        if found != wanted:
            raise ClassifierError(f"{name} of {path} must be {wanted}, got {found}; train the classifier again")
        if not np.issubdtype(arrays[name].dtype, np.floating) or not np.all(np.isfinite(arrays[name])):
            raise ClassifierError(f"{name} of {path} must hold finite numbers alone; train the classifier again")


def fit(images: Sequence[np.ndarray]) -> np.ndarray:
    """Returns images uint8 [h, w, 3] resized and padded to squares, uint8 [C, 64, 64, 3]."""
    return np.stack([resize_with_pad(image, IMAGE_SIZE) for image in images])
