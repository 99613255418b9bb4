"""Finds the cameras of a file, by their names and the forms of their images."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Collection, Iterator

import h5py

from chunk_ppo_ros.config.entries.recordings import BGR
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.aloha_hdf5.datasets import check_written, name_of
from chunk_ppo_ros.data.aloha_hdf5.images import Camera, Compressed, Depth, Raw, form_of, needed_form
from chunk_ppo_ros.data.aloha_hdf5.recorders import INTERBOTIX_2_CAMERAS

IMAGES = "observations/images"
_COLOR_NAMES = ("rgb", "color", "image", "images", "data")
"""The names of the color images where a camera is a group of several datasets."""


@dataclasses.dataclass(frozen=True)
class Cameras:
    """The cameras of a file.

    Attributes:
        by_name: each camera by its name, which is ALOHA's where the recorder has another for it.
        recorded_names: the names in the file.
        said: sentences about what the file and the user say.
        assumed: sentences about what was assumed.
    """

    by_name: dict[str, Camera]
    recorded_names: tuple[str, ...]
    said: tuple[str, ...]
    assumed: tuple[str, ...]

    @property
    def used(self) -> set[str]:
        """The names of the datasets that are used."""
        return {camera.dataset for camera in self.by_name.values()}


def cameras_of(
    file: h5py.File, path: pathlib.Path, num_steps: int, needed: Collection[str], channel_order: str
) -> Cameras:
    """Returns the cameras of a file.

    Args:
        file: the open file.
        path: its path.
        num_steps: the number of its steps.
        needed: the names of the cameras that the model needs.
        channel_order: the order of color channels in compressed images (`recordings.channel_order`).

    Raises:
        EpisodesError: where a camera has not as many images as steps, or one that is needed cannot be read.
    """
    found = dict(_image_datasets(file, needed))
    renamed = {
        name: INTERBOTIX_2_CAMERAS[name] for name in found if name in INTERBOTIX_2_CAMERAS and name not in needed
    }
    renamed = {name: known for name, known in renamed.items() if known not in found}
    by_name: dict[str, Camera] = {}
    for recorded, dataset in found.items():
        name = renamed.get(recorded, recorded)
        form = Depth() if "depth" in recorded.lower() and recorded not in needed else form_of(dataset)
        if name not in needed and not isinstance(form, Compressed | Raw):
            continue
        camera = Camera(path, name_of(dataset), needed_form(form, dataset), channel_order)
        _check_steps(dataset, recorded, num_steps)
        by_name[name] = camera
    said = tuple(f"Its camera {recorded} is ALOHA's {name}." for recorded, name in renamed.items() if name in by_name)
    order_said, order_assumed = _sentences(by_name, channel_order)
    return Cameras(by_name, tuple(found), (*said, *order_said), order_assumed)


def _image_datasets(file: h5py.File, needed: Collection[str]) -> Iterator[tuple[str, h5py.Dataset]]:
    """Yields the dataset of each camera by the camera's name."""
    group = file.get(IMAGES)
    if not isinstance(group, h5py.Group):
        return
    for name in group:
        thing = group.get(name)
        if isinstance(thing, h5py.Group):
            inner = {each: thing[each] for each in thing if isinstance(thing.get(each), h5py.Dataset)}
            known = [each for each in _COLOR_NAMES if each in inner] or list(inner)[: len(inner) == 1]
            if known:
                yield name, inner[known[0]]
                continue
        if isinstance(thing, h5py.Dataset):
            yield name, thing
        elif name in needed or INTERBOTIX_2_CAMERAS.get(name) in needed:
            what = "a link to nothing" if thing is None else f"a group of {', '.join(list(thing)[:5]) or 'nothing'}"
            raise EpisodesError(f"camera {name} must be a dataset of images, got {what} in {file.filename}; convert it")


def _check_steps(dataset: h5py.Dataset, name: str, num_steps: int) -> None:
    if len(dataset) != num_steps:
        raise EpisodesError(
            f"camera {name} must have an image for each of {num_steps} steps, got {len(dataset)} in "
            f"{dataset.file.filename}; leave the episode out"
        )
    check_written(dataset)


def _sentences(cameras: dict[str, Camera], channel_order: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns sentences about colors: what the user said, and what was assumed."""
    said: list[str] = []
    assumed: list[str] = []
    compressed = [name for name, camera in cameras.items() if isinstance(camera.form, Compressed)]
    if compressed and channel_order == BGR:
        said.append(f"Red and blue of {', '.join(compressed)} are exchanged once they are decoded, by --channel_order.")
    elif compressed:
        assumed.append(
            f"The compressed images of {', '.join(compressed)} are taken to have the colors that JPEG and PNG define "
            "(--channel_order). Recorders that give RGB images to OpenCV exchange red and blue: look at a picture."
        )
    raw = [name for name, camera in cameras.items() if isinstance(camera.form, Raw)]
    if raw:
        assumed.append(f"The raw images of {', '.join(raw)} are taken as RGB.")
    return tuple(said), tuple(assumed)
