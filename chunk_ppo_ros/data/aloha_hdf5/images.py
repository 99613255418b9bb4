"""Reads the images of a camera in any form that recorders write, as RGB images."""

from __future__ import annotations

import dataclasses
import pathlib

import h5py
import numpy as np

from chunk_ppo_ros.config.entries.recordings import BGR
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.aloha_hdf5.datasets import described
from chunk_ppo_ros.data.aloha_hdf5.opening import DAMAGE, in_one_line
from chunk_ppo_ros.data.image_file import decode_file

_CHANNELS = (1, 3, 4)
"""The numbers of channels of a gray image, of an RGB image, and of one with an alpha channel, which is not used."""
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG")
_NUM_SAMPLES = 5
"""The number of images by which the range of values is found where the type does not say it."""
_ROUNDING = 1.01
"""The factor by which values may be above white, which resizing and rounding do. They are then white."""
_LOWEST_WHITE = 16.0
"""The largest value from which on floats surely are of 0..255."""


@dataclasses.dataclass(frozen=True)
class Compressed:
    """Each step is a JPEG or PNG file, with zeros behind it."""


@dataclasses.dataclass(frozen=True)
class Raw:
    """Each step is an array of pixels.

    Attributes:
        channel_axis: the axis of the channels of an image, 0 or 2; None for gray images [h, w].
        white: the value of white: 255, or 1 for floats.
    """

    channel_axis: int | None
    white: float = 255.0


@dataclasses.dataclass(frozen=True)
class Depth:
    """Each step is an array of distances."""


@dataclasses.dataclass(frozen=True)
class Unreadable:
    """The images cannot be read in one way alone.

    Attributes:
        reason: what they must be.
    """

    reason: str


Form = Compressed | Raw | Depth | Unreadable


def form_of(dataset: h5py.Dataset) -> Form:
    """Returns the form of a camera's images, by their shape and type, and by a few images where these leave it open."""
    kind, shape = dataset.dtype.kind, dataset.shape
    if not shape:
        return Unreadable("have a step in each row")
    if kind in "OSV":
        is_bytes = (
            kind != "O" or h5py.check_string_dtype(dataset.dtype) or _is_bytes(h5py.check_vlen_dtype(dataset.dtype))
        )
        return Compressed() if is_bytes and shape[1:] in ((), (1,)) else Unreadable("be bytes or arrays of pixels")
    if kind not in "iuf" or (dataset.dtype == np.int8 and len(shape) != 2):
        return Unreadable("be bytes or arrays of pixels")
    if len(shape) == 2:
        return Compressed() if dataset.dtype.itemsize == 1 else Unreadable("be bytes or arrays of pixels")
    return _array_form(dataset)


def _array_form(dataset: h5py.Dataset) -> Form:
    sizes = dataset.shape[1:]
    if 0 in sizes:
        return Unreadable("have pixels")
    if 1 in sizes and dataset.dtype == np.uint8 and len(sizes) == 2 and _begins_a_file(dataset):
        return Compressed()
    axes = [axis for axis in (0, 2) if len(sizes) == 3 and sizes[axis] in _CHANNELS]
    if len(sizes) > 3 or (len(sizes) == 3 and not axes):
        return Unreadable("be [steps, height, width, 3] or [steps, 3, height, width]")
    if len(axes) == 2:
        return Unreadable("have their channels in the first or in the last axis and not in both")
    axis = axes[0] if axes else None
    if dataset.dtype == np.uint8:
        return Raw(axis)
    if axis is None or sizes[axis] == 1:
        return Depth()
    return _scaled_form(dataset, axis)


def _scaled_form(dataset: h5py.Dataset, axis: int) -> Form:
    """Returns the form of color images whose type does not say which value is white."""
    steps: np.ndarray | list[int] = (
        np.unique(np.linspace(0, len(dataset) - 1, _NUM_SAMPLES).astype(int)) if len(dataset) else []
    )
    samples = [np.asarray(dataset[int(step)], np.float64) for step in steps]
    low, high = (float(f([f(sample) for sample in samples])) for f in (np.min, np.max)) if samples else (0.0, 0.0)
    if not (low >= 0.0 and high <= 255.0 * _ROUNDING):
        return Unreadable(f"have values of 0..1 or 0..255 (they have {low:.4g}..{high:.4g})")
    if dataset.dtype.kind == "f" and _ROUNDING < high < _LOWEST_WHITE:
        return Unreadable(f"have values of 0..1 or 0..255 (their largest is {high:.4g})")
    return Raw(axis, 1.0 if dataset.dtype.kind == "f" and high <= _ROUNDING else 255.0)


def _begins_a_file(dataset: h5py.Dataset) -> bool:
    return bool(len(dataset)) and dataset[0].tobytes().startswith(_SIGNATURES)


def _is_bytes(dtype: np.dtype | None) -> bool:
    return dtype is not None and np.dtype(dtype).itemsize == 1


@dataclasses.dataclass(frozen=True)
class Camera:
    """Reads the images of one camera of a file.

    Attributes:
        path: the path of the file.
        dataset: the name of the dataset.
        form: the form of its images.
        channel_order: the order of the color channels of a compressed image once it is decoded.
        size: the height and the width that each image must have, if it is known.
    """

    path: pathlib.Path
    dataset: str
    form: Compressed | Raw
    channel_order: str
    size: tuple[int, ...] = ()

    def read(self, step: int) -> np.ndarray:
        """Returns the RGB image uint8 [h, w, 3] of a step.

        Raises:
            EpisodesError: where the file cannot be read any more, or the image is damaged.
        """
        try:
            with h5py.File(self.path, "r") as file:
                frame = file[self.dataset][step]
        except DAMAGE as error:
            raise EpisodesError(
                f"images must be readable, got {self.path}: {in_one_line(error)}; copy or record it again"
            ) from error
        where = f"{self.dataset.removeprefix('observations/images/')}, step {step} of {self.path}"
        match self.form:
            case Compressed():
                image = decode_file(_bytes_of(frame), where)
                if self.size and image.shape[:2] != self.size:
                    raise EpisodesError(
                        f"images of a camera must be of one size, got {image.shape[:2]} after {self.size} in {where}; "
                        "leave the episode out"
                    )
                return image[..., ::-1] if self.channel_order == BGR else image
            case Raw(channel_axis, white):
                return _rgb(np.asarray(frame), channel_axis, white, where)


def with_size(camera: Camera) -> Camera:
    """Returns a camera that knows the size of its images, where they are compressed, by the first of them.

    Raises:
        EpisodesError: where the first image is damaged.
    """
    return dataclasses.replace(camera, size=camera.read(0).shape[:2]) if camera.form == Compressed() else camera


def needed_form(form: Form, camera: str, dataset: h5py.Dataset) -> Compressed | Raw:
    """Returns the form of a camera that is needed.

    Raises:
        EpisodesError: where its images are distances or cannot be read.
    """
    if isinstance(form, Compressed | Raw):
        return form
    reason = form.reason if isinstance(form, Unreadable) else "have colors or gray levels, not distances"
    raise EpisodesError(
        f"images of camera {camera} must {reason}, got {described(dataset)} in {dataset.file.filename}; convert "
        "them, or name other cameras by --episode_cameras"
    )


def _bytes_of(frame: object) -> bytes:
    """Returns the file of a step, of whatever type HDF5 gives it."""
    while isinstance(frame, np.ndarray) and frame.dtype.kind == "O":
        frame = frame.item()
    if isinstance(frame, str):
        return frame.encode("utf-8", "surrogateescape")
    return frame if isinstance(frame, bytes) else np.asarray(frame).tobytes()


def _rgb(frame: np.ndarray, channel_axis: int | None, white: float, where: str) -> np.ndarray:
    channels = frame[..., None] if channel_axis is None else np.moveaxis(frame, channel_axis, -1)
    channels = channels[..., :3]
    if channels.dtype != np.uint8:
        if not (np.min(channels) >= 0 and np.max(channels) <= white * _ROUNDING):
            raise EpisodesError(
                f"images must have values of 0..{white:g}, got {np.min(channels)}..{np.max(channels)} in {where}; "
                "leave the episode out"
            )
        scaled = np.asarray(channels, np.float64) * (255.0 / white)
        channels = np.rint(np.minimum(scaled, 255.0)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(channels, (*channels.shape[:2], 3)))
