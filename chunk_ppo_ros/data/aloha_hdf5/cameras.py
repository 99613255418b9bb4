"""Finds the cameras of a file, by their names and the forms of their images."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Collection, Iterator

import h5py

from chunk_ppo_ros.config.entries.recordings import BGR
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.aloha_hdf5.attributes import attribute, number
from chunk_ppo_ros.data.aloha_hdf5.datasets import check_written
from chunk_ppo_ros.data.aloha_hdf5.images import Camera, Compressed, Depth, Raw, form_of, needed_form, with_size
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

    @property
    def has_compressed(self) -> bool:
        """Whether one of them has compressed images."""
        return any(isinstance(camera.form, Compressed) for camera in self.by_name.values())


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
    keys = dict(_image_datasets(file, needed))
    renamed = _renamed(keys, needed)
    by_name: dict[str, Camera] = {}
    for recorded, key in keys.items():
        name, dataset = renamed.get(recorded, recorded), file[key]
        form = Depth() if "depth" in recorded.lower() and recorded not in needed else form_of(dataset)
        if name not in needed and not isinstance(form, Compressed | Raw):
            continue
        usable = needed_form(form, recorded, dataset)
        _check_steps(dataset, recorded, num_steps)
        by_name[name] = with_size(Camera(path, key, usable, channel_order))
    said = tuple(f"Its camera {recorded} is ALOHA's {name}." for recorded, name in renamed.items() if name in by_name)
    colors_said, assumed = _color_sentences(by_name, channel_order)
    return Cameras(by_name, tuple(keys), (*said, *colors_said), (*assumed, *_contradicted(file, by_name)))


def _renamed(recorded: Collection[str], needed: Collection[str]) -> dict[str, str]:
    """Returns ALOHA's name of each camera of Interbotix' ALOHA 2.0 recorder, where no other camera has that name."""
    names = {name: INTERBOTIX_2_CAMERAS[name] for name in recorded if name in INTERBOTIX_2_CAMERAS}
    return {name: known for name, known in names.items() if name not in needed and known not in recorded}


def _image_datasets(file: h5py.File, needed: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yields the name of each camera, and that of its dataset."""
    group = file.get(IMAGES)
    if not isinstance(group, h5py.Group):
        return
    for name in group:
        thing = group.get(name)
        if isinstance(thing, h5py.Group):
            inner = [each for each in thing if isinstance(thing.get(each), h5py.Dataset)]
            known = [each for each in _COLOR_NAMES if each in inner] or inner[: len(inner) == 1]
            if known:
                yield name, f"{IMAGES}/{name}/{known[0]}"
                continue
        if isinstance(thing, h5py.Dataset):
            yield name, f"{IMAGES}/{name}"
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


def _color_sentences(cameras: dict[str, Camera], channel_order: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns sentences about colors: what the user said, and what was assumed."""
    said: list[str] = []
    assumed: list[str] = []
    compressed = [name for name, camera in cameras.items() if isinstance(camera.form, Compressed)]
    if compressed and channel_order == BGR:
        said.append(f"Red and blue of {', '.join(compressed)} are exchanged once they are decoded, by --channel_order.")
    elif compressed:
        assumed.append(
            f"The compressed images of {', '.join(compressed)} are taken to have the colors that JPEG and PNG define "
            "(--channel_order)."
        )
    raw = [name for name, camera in cameras.items() if isinstance(camera.form, Raw)]
    if raw:
        assumed.append(f"The raw images of {', '.join(raw)} are taken as RGB.")
    return tuple(said), tuple(assumed)


def _contradicted(file: h5py.File, cameras: dict[str, Camera]) -> tuple[str, ...]:
    """Returns sentences about cameras whose images are not of the form that the attribute `compress` says."""
    said = number(attribute(file, "compress"))
    if said is None:
        return ()
    others = [name for name, camera in cameras.items() if isinstance(camera.form, Compressed) != bool(said)]
    form = "raw" if said else "compressed"
    return (f"The attribute compress is {bool(said)}, but {', '.join(others)} is taken as {form}.",) if others else ()
