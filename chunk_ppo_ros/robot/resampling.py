"""Resamples uint8 images linearly with antialiasing, to the same gray levels that openpi's `resize_with_pad` gives.

openpi's own output was recorded with `jax.image.resize(..., "linear")` of jax 0.5.3, compiled by XLA for x86-64. The
arithmetic here is the same: numbers are float32, some products are fused with the addition that follows, the cheaper
axis comes first, and long sums are made in blocks. These details alone decide how a value is rounded that lies almost
midway between two gray levels. Therefore all pixels are computed in plain float32, and the few that lie that close to
a rounding border are computed once more in the compiled order. Other versions of jax, other devices and a single core
(which has other blocks) round some of these few in the other direction.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

_BLOCK_VALUES = 1 << 15  # The number of output values that are computed at a time; they fit the processor's cache.


@dataclasses.dataclass(frozen=True)
class Taps:
    """Says for each new pixel along an axis which old pixels it takes, and with which weights.

    Attributes:
        index: int [new, K], the indices of K successive old pixels.
        weight: float32 [new, K], the weights of these pixels, which sum to 1.
        new_block: bool [new, K], true where the exact order begins another partial sum. Long axes are summed in blocks.
    """

    index: np.ndarray
    weight: np.ndarray
    new_block: np.ndarray

    @property
    def num_taps(self) -> int:
        """The number K of old pixels that each new pixel takes."""
        return self.index.shape[1]


def resample(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns the image with another number of rows and columns.

    Args:
        image: uint8 [h, w, 3].
        height: the number of new rows, > 0.
        width: the number of new columns, > 0.

    Returns:
        An image uint8 [height, width, 3].
    """
    old_height, old_width = image.shape[:2]
    # Columns come first where that is cheaper.
    if width * old_height * (old_width + height) < height * old_width * (old_height + width):
        return resample(image.transpose(1, 0, 2), width, height).transpose(1, 0, 2)
    rows, columns = find_taps(old_height, height), find_taps(old_width, width)
    resized = _apply(rows, image.reshape(old_height, -1)).reshape(height, old_width, 3)
    values = _apply(columns, resized.transpose(1, 0, 2).reshape(old_width, -1)).reshape(width, height, 3)
    rounded = np.rint(values)
    # A float32 sum of K products below 256 is off by at most 2^-16 for each operation, in either order.
    margin = (rows.num_taps + columns.num_taps + 4) * 2.0**-15
    x, y, channel = np.nonzero(np.abs(values - rounded) > 0.5 - margin)
    rounded[x, y, channel] = np.rint(compute_exactly(image, rows, columns, (y, x, channel)))
    return np.clip(rounded, 0, 255).astype(np.uint8).transpose(1, 0, 2)


@functools.lru_cache(maxsize=32)
def find_taps(size: int, new_size: int) -> Taps:
    """Returns the old pixels whose weight is not 0, and their weights, for an axis of `size` pixels."""
    weights = _weights(size, new_size)
    used = weights > 0
    first = np.argmax(used, axis=1)
    last = size - 1 - np.argmax(used[:, ::-1], axis=1)
    num_taps = int(np.max(last - first)) + 1
    index = np.minimum(first, size - num_taps)[:, None] + np.arange(num_taps)
    new_block = (index % block_length(size) == 0) & (np.arange(num_taps) > 0)
    taps = Taps(index, np.take_along_axis(weights, index, axis=1), new_block)
    for array in (taps.index, taps.weight, taps.new_block):
        array.setflags(write=False)
    return taps


def block_length(size: int) -> int:
    """Returns how many old pixels XLA's matrix product sums at a time on several cores.

    XLA makes as few blocks of equal length as it can, each of at most 320 pixels.
    """
    num_blocks = -(-size // 320)
    return -(-size // (8 * num_blocks)) * 8


def _weights(size: int, new_size: int) -> np.ndarray:
    """Returns float32 [new_size, size], triangle kernels around the new pixels' centers. Each row sums to 1.

    New pixel i has its center at (i + 1/2) * size / new_size - 1/2 in old pixels. The kernel's half width is one old
    pixel, or one new pixel where that is larger. The weight of old pixel j is max(0, 1 - |center - j| / half_width),
    divided by its sum over j.

    XLA compiles the numerator and the denominator differently. In the denominator it fuses the kernel's product. In the
    numerator it has a loop over eight pixels at a time, which fuses the product of the center instead. The pixels that
    the loop leaves over fuse the kernel's product again. An axis below 88 pixels has no loop, nor has one below 96
    where the image grows.
    """
    step = np.float32(1 / (new_size / size))
    slope = np.float32(1) / max(step, np.float32(1))
    half = np.arange(new_size, dtype=np.float32) + np.float32(0.5)
    old = np.arange(size, dtype=np.float32)
    kernel = np.maximum(_fused(np.abs((half * step - np.float32(0.5))[:, None] - old), -slope, np.float32(1)), 0)
    in_loop = np.maximum(1 - np.abs(_fused(half, step, np.float32(-0.5))[:, None] - old) * slope, 0)
    loop_end = new_size - new_size % 8 if new_size >= (88 if step > 1 else 96) else 0
    numerator = np.where((np.arange(new_size) < loop_end)[:, None], in_loop, kernel)
    return numerator / window_sum(kernel)[:, None]


def _fused(a: np.ndarray, b: np.ndarray | np.float32, c: np.ndarray | np.float32) -> np.ndarray:
    """Returns a * b + c of float32 numbers, rounded once, as the processor's fused instruction does it."""
    # The product of two float32 numbers is exact in float64.
    return (np.multiply(a, b, dtype=np.float64) + c).astype(np.float32)


def window_sum(values: np.ndarray) -> np.ndarray:
    """Returns float32 [n], the sums of the rows of [n, m], added in XLA's order.

    Numbers are summed within windows of 32, which are centered over m. Then the windows are summed.
    """
    num_rows, size = values.shape
    missing = -size % 32 if size > 32 else 0
    padded = np.pad(values, ((0, 0), (missing // 2, missing - missing // 2)))
    windows = padded.reshape(num_rows, -1, min(32, padded.shape[1]))
    # cumsum adds in order; sum may use another order.
    return np.cumsum(np.cumsum(windows, axis=2)[..., -1], axis=1)[:, -1]


def _apply(taps: Taps, pixels: np.ndarray) -> np.ndarray:
    """Returns float32 [new, F], weighted sums of rows of pixels [old, F]."""
    sums = np.empty((len(taps.index), pixels.shape[1]), np.float32)
    block = max(1, _BLOCK_VALUES // pixels.shape[1])
    for start in range(0, len(sums), block):
        part = slice(start, start + block)
        index, weight = taps.index[part].T, taps.weight[part].T[..., None]
        np.multiply(weight[0], pixels[index[0]], out=sums[part])
        for k in range(1, taps.num_taps):
            sums[part] += weight[k] * pixels[index[k]]
    return sums


def compute_exactly(
    image: np.ndarray, rows: Taps, columns: Taps, where: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> np.ndarray:
    """Returns float32 [P], the values of P new pixels, computed in XLA's order of operations.

    Args:
        image: uint8 [h, w, 3].
        rows: the weights along the axis of rows.
        columns: the weights along the axis of columns.
        where: the rows, columns and channels of the new pixels, each int [P].
    """
    y, x, channel = where
    patches = image[rows.index[y][:, :, None], columns.index[x][:, None, :], channel[:, None, None]]
    sums = sum_in_order(rows.weight[y][..., None], patches, rows.new_block[y][..., None])
    return sum_in_order(columns.weight[x], sums, columns.new_block[x])


def sum_in_order(weights: np.ndarray, values: np.ndarray, new_block: np.ndarray) -> np.ndarray:
    """Returns the sums over axis 1 of weights * values, added block by block from the first to the last.

    Each product is fused with the addition that follows it.
    """
    total = block = np.zeros((len(values), *values.shape[2:]), np.float32)
    for k in range(values.shape[1]):
        ends = new_block[:, k]
        total = np.where(ends, total + block, total)
        block = _fused(values[:, k], weights[:, k], np.where(ends, np.float32(0), block))
    return total + block
