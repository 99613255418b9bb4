"""Finds out by their content that the images of a camera cannot be right, although their stamps are new.

The noise of a real camera changes every image, so that equal images in a row mean that it stands still. In a simulator
a scene may stand still, and is no fault. This module knows no ROS.
"""

from __future__ import annotations

import dataclasses
import enum

import numpy as np

NUM_IMAGES = 15
"""The number of images in a row that must be equal to the one before, or dark, before a camera is named.

A driver that sends faster than its camera repeats an image a few times, and a camera's exposure needs some images when
it starts.
"""

DARK_MEAN = 10.0
"""The mean gray level, of 255, below which an image may be dark."""

DARK_SPREAD = 5.0
"""The standard deviation of gray levels, of 255, below which an image may be dark. A lit spot in the dark has more."""

_FEW = (slice(None, None, 8), slice(None, None, 8))
"""Every eighth row and column. They say enough about darkness, and most changes show in them."""


class FaultKind(enum.Enum):
    """What is wrong with a camera."""

    SIZE = "another size"
    FROZEN = "stands still"
    DARK = "dark"


@dataclasses.dataclass(frozen=True)
class CameraFault:
    """Something that is wrong with a camera.

    Attributes:
        kind: what is wrong.
        text: the same in words, and what to do.
    """

    kind: FaultKind
    text: str


_FROZEN = CameraFault(
    FaultKind.FROZEN,
    f"more than {NUM_IMAGES} images in a row are equal to the bit, although their stamps are new; start its driver "
    "again",
)
_DARK = CameraFault(
    FaultKind.DARK,
    f"{NUM_IMAGES} images in a row and more are dark (mean below {DARK_MEAN:g} and spread below {DARK_SPREAD:g} of "
    "255); look at its lens, the light and its exposure",
)


class CameraWatch:
    """Watches the images of one camera."""

    def __init__(self) -> None:
        self._size: tuple[int, int] | None = None  # height and width of the first image
        self._newest: np.ndarray | None = None
        self._newest_stamp = -1
        self._num_equal = 0
        self._num_dark = 0

    def see(self, image: np.ndarray, *, stamp: int) -> list[CameraFault]:
        """Takes an image and returns what is wrong with the camera.

        An image whose stamp is not new is not counted, because nothing says that it is another one.

        Args:
            image: uint8 [h, w, 3], which must not be changed later.
            stamp: the stamp of the image, ns.
        """
        height, width = image.shape[:2]
        self._size = self._size or (height, width)
        if stamp != self._newest_stamp:
            self._num_equal = self._num_equal + 1 if _are_equal(image, self._newest) else 0
            self._num_dark = self._num_dark + 1 if _is_dark(image) else 0
            self._newest, self._newest_stamp = image, stamp
        faults = [] if (height, width) == self._size else [_size_fault((height, width), self._size)]
        faults += [_FROZEN] if self._num_equal >= NUM_IMAGES else []
        faults += [_DARK] if self._num_dark >= NUM_IMAGES else []
        return faults


def _size_fault(size: tuple[int, int], first: tuple[int, int]) -> CameraFault:
    return CameraFault(
        FaultKind.SIZE,
        f"its images must keep their size of {first[1]}x{first[0]} pixels, got {size[1]}x{size[0]}; set its driver "
        "back, or start policy_node again",
    )


def _are_equal(image: np.ndarray, other: np.ndarray | None) -> bool:
    if other is None or image.shape != other.shape or not np.array_equal(image[_FEW], other[_FEW]):
        return False
    return np.array_equal(image, other)


def _is_dark(image: np.ndarray) -> bool:
    few = image[_FEW]
    return bool(few.mean() < DARK_MEAN and few.std() < DARK_SPREAD)
