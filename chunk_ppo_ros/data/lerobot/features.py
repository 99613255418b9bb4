"""Reads the features of meta/info.json: what each column or camera of a LeRobot dataset is declared to be."""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from chunk_ppo_ros.core.errors import EpisodesError

IMAGE, VIDEO = "image", "video"
_CAMERA_PREFIXES = ("observation.images.", "observation.")
_CHANNEL_NAMES = ("channel", "channels")
_GRAY_DEPTHS = ("gray10", "gray12", "gray14", "gray16")


@dataclasses.dataclass(frozen=True)
class Feature:
    """Says what a feature is declared to be.

    Attributes:
        name: the name, for example "observation.images.cam_high".
        dtype: the type, for example "float32", "video" or "image".
        shape: the declared shape; None where it is not declared.
        names: the names of its dimensions in order; empty where it has none.
        is_depth: whether it is a camera whose images are distances.
        rate: the declared frames per second of a video; None where they are not declared.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] | None = None
    names: tuple[str, ...] = ()
    is_depth: bool = False
    rate: float | None = None

    @property
    def is_camera(self) -> bool:
        """Whether its values are images."""
        return self.dtype in (IMAGE, VIDEO)

    @property
    def camera(self) -> str:
        """The name of its camera, for example "cam_high" for "observation.images.cam_high"."""
        for prefix in _CAMERA_PREFIXES:
            if self.name.startswith(prefix) and self.name != prefix:
                return self.name.removeprefix(prefix)
        return self.name

    @property
    def size(self) -> int | None:
        """The declared number of values in a row; None where it is not declared."""
        return None if self.shape is None else math.prod(self.shape)

    @property
    def image_size(self) -> tuple[int, int, int] | None:
        """The declared height, width and channels of its images; None where they are not declared."""
        if self.shape is None or len(self.shape) not in (2, 3):
            return None
        if len(self.shape) == 2:
            return self.shape[0], self.shape[1], 1
        first, second, third = self.shape
        if (self.names and self.names[0] in _CHANNEL_NAMES) or (not self.names and first <= 4 < third):
            return second, third, first
        return first, second, third

    @property
    def shape_text(self) -> str:
        """The declared shape, for example "[14]"."""
        return "[?]" if self.shape is None else str(list(self.shape))


def parse_feature(name: str, declared: object, path: pathlib.Path) -> Feature:
    """Returns a feature of meta/info.json.

    Args:
        name: its name.
        declared: what the file says of it.
        path: the file, for error texts.

    Raises:
        EpisodesError: where that is no declaration of a feature.
    """
    if not isinstance(declared, dict) or not isinstance(declared.get("dtype"), str):
        raise EpisodesError(f"feature {name} must have a dtype, got {declared!r:.80} in {path}; correct it")
    dtype = declared["dtype"]
    video = {**_mapping(declared.get("video_info")), **_mapping(declared.get("info"))}
    return Feature(
        name=name,
        dtype=dtype,
        shape=_shape(declared.get("shape"), f"the shape of {name}", path),
        names=tuple(_names(declared.get("names"), name, path)),
        is_depth=_is_depth(name, declared, video, path),
        rate=_rate(video, name, path),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _shape(value: object, what: str, path: pathlib.Path) -> tuple[int, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in value):
        raise EpisodesError(f"{what} must be a list of numbers above 0, got {value!r:.80} in {path}; correct it")
    return tuple(value)


def _names(value: object, feature: str, path: pathlib.Path, prefix: str = "") -> Iterator[str]:
    """Yields names from a list, a list in a list, lists by kind ({"motors": [..]}) or places by name ({"x": 0, ..})."""
    if isinstance(value, str):
        yield f"{prefix}{value}"
    elif isinstance(value, list):
        for each in value:
            yield from _names(each, feature, path, prefix)
    elif isinstance(value, dict) and value and all(isinstance(place, int) for place in value.values()):
        yield from sorted(value, key=lambda name: value[name])
    elif isinstance(value, dict):
        several = len(value) > 1
        for kind, each in value.items():
            yield from _names(each, feature, path, f"{prefix}{kind}_" if several else prefix)
    elif value is not None:
        raise EpisodesError(f"names of {feature} must be texts, got {value!r:.80} in {path}; correct them")


def _is_depth(name: str, declared: Mapping[str, Any], video: Mapping[str, Any], path: pathlib.Path) -> bool:
    for place in (declared, video):
        for key in ("is_depth_map", "video.is_depth_map"):
            value = place.get(key)
            if value is not None and not isinstance(value, bool):
                raise EpisodesError(f"{key} of {name} must be true or false, got {value!r:.80} in {path}; correct it")
            if value:
                return True
    pixels = video.get("video.pix_fmt") or video.get("pix_fmt") or ""
    shape = declared.get("shape")
    one_channel = isinstance(shape, list) and len(shape) in (2, 3) and (len(shape) == 2 or 1 in (shape[0], shape[-1]))
    return str(pixels).startswith(_GRAY_DEPTHS) or ("depth" in name and one_channel)


def _rate(video: Mapping[str, Any], name: str, path: pathlib.Path) -> float | None:
    value = video.get("video.fps", video.get("fps"))
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise EpisodesError(f"video.fps of {name} must be a number above 0, got {value!r:.80} in {path}; correct it")
    return float(value)
