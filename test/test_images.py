"""Tests how raw pixel buffers are decoded and resized, against openpi's own output where the shared data exists."""

from __future__ import annotations

import array
import pathlib

import numpy as np
import pytest

from chunk_ppo_ros.robot.images import decode_image, resize_with_pad
from support import published

RGB = np.array([[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]], np.uint8)


def padded(pixels: np.ndarray, padding: int) -> array.array[int]:
    """Rows of pixels with bytes of 255 behind each, as a message holds them."""
    rows = pixels.reshape(pixels.shape[0], -1)
    filler = np.full((len(rows), padding), 255, np.uint8)
    return array.array("B", np.concatenate([rows, filler], axis=1).tobytes())


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("rgb8", RGB),
        ("bgr8", RGB[..., ::-1]),
        ("rgba8", np.insert(RGB, 3, 99, axis=2)),
        ("bgra8", np.insert(RGB[..., ::-1], 3, 99, axis=2)),
    ],
)
def test_encodings_decode_to_the_same_rgb(encoding: str, pixels: np.ndarray, padding: int) -> None:
    step = 2 * pixels.shape[2] + padding
    decoded = decode_image(padded(pixels, padding), height=2, width=2, encoding=encoding, step=step)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, RGB)


def test_mono_is_repeated_over_the_channels() -> None:
    decoded = decode_image(bytes([10, 20, 0, 30, 40, 0]), height=2, width=2, encoding="mono8", step=3)
    np.testing.assert_array_equal(decoded, [[[10] * 3, [20] * 3], [[30] * 3, [40] * 3]])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"encoding": "16UC1"}, "encoding must be one of rgb8, bgr8, rgba8, bgra8, mono8, got '16UC1'"),
        ({"step": 5}, "step must be at least 6 bytes for 2 pixels of rgb8, got 5"),
        ({"step": 7}, r"step \* height = 7 \* 2 bytes, got 12"),
        ({"data": b""}, "got 0"),
        ({"height": 0}, "at least one pixel, got 0 rows of 2"),
    ],
)
def test_bad_images(changes: dict[str, object], text: str) -> None:
    fields: dict[str, object] = {"data": RGB.tobytes(), "height": 2, "width": 2, "encoding": "rgb8", "step": 6}
    fields |= changes
    with pytest.raises(ValueError, match=text):
        decode_image(fields.pop("data"), **fields)  # type: ignore[arg-type]


def test_halving_averages_with_the_triangle_kernel() -> None:
    # Four columns become two. The new center 0 lies at the old 0.5, with half width 2. The distances 0.5, 0.5, 1.5, 2.5
    # give the weights 3/4, 3/4, 1/4, 0, which sum to 7/4. Values 0, 70, 140, 210 give (70 * 3/4 + 140 * 1/4) / (7/4) =
    # 50. By symmetry the other is 210 - 50.
    image = np.tile(np.array([0, 70, 140, 210], np.uint8)[None, :, None], (4, 1, 3))
    np.testing.assert_array_equal(resize_with_pad(image, 2), np.tile(np.array([50, 160])[None, :, None], (2, 1, 3)))


def test_proportions_are_kept_by_black_bars() -> None:
    white = np.full((6, 12, 3), 255, np.uint8)
    square = resize_with_pad(white, 8)
    # The 12 columns become 8, so that 6 rows become 4, with 2 black rows above and below.
    assert square[:2].max() == 0 and square[6:].max() == 0
    assert square[2:6].min() == 255


def test_an_image_of_the_right_size_is_untouched() -> None:
    assert resize_with_pad(RGB, 2) is RGB


def test_other_dtypes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be uint8 \[h, w, 3\], got float32 \[2, 2, 3\]"):
        resize_with_pad(RGB.astype(np.float32), 4)


def test_a_shape_of_which_nothing_would_be_left_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 4 times as long as wide, got 1 rows of 5 pixels"):
        resize_with_pad(np.zeros((1, 5, 3), np.uint8), 4)


def test_resize_of_a_small_image_is_openpis_to_the_bit() -> None:
    golden = np.load(published.DATA / "preprocess.npz")
    size = published.SMALL_IMAGE
    np.testing.assert_array_equal(resize_with_pad(golden[f"u8_in_{size}"], 224), golden[f"u8_out_{size}"])


@pytest.mark.parametrize("size", ["480x640", "120x160", "300x200"])
def test_resize_is_openpis_to_the_bit(shared_folder: pathlib.Path, size: str) -> None:
    golden = np.load(shared_folder / "golden" / "preprocess.npz")
    np.testing.assert_array_equal(resize_with_pad(golden[f"u8_in_{size}"], 224), golden[f"u8_out_{size}"])
