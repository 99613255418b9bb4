"""Tests resampling to the bit against numbers by hand, itself in exact order, and the jax that is installed."""

from __future__ import annotations

import itertools
from fractions import Fraction

import hypothesis
import jax
import numpy as np
import pytest
from hypothesis import strategies as st

from chunk_ppo_ros.robot import resampling

SIDES = st.integers(1, 90)


def random_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_taps_of_a_third_by_hand() -> None:
    # Six values become two. The centers are at 1 and 4, and the half width is 3. The weights are 1/3 * (2, 3, 2, 1) /
    # (8/3) at the left edge, and mirrored at the right edge.
    taps = resampling.find_taps(6, 2)
    np.testing.assert_array_equal(taps.index, [[0, 1, 2, 3], [2, 3, 4, 5]])
    np.testing.assert_allclose(taps.weight, [[2 / 8, 3 / 8, 2 / 8, 1 / 8], [1 / 8, 2 / 8, 3 / 8, 2 / 8]], rtol=1e-6)


def test_the_same_size_takes_each_pixel_as_it_is() -> None:
    taps = resampling.find_taps(5, 5)
    np.testing.assert_array_equal(taps.index, np.arange(5)[:, None])
    np.testing.assert_array_equal(taps.weight, np.ones((5, 1)))


@hypothesis.given(size=SIDES, new_size=SIDES)
def test_weights_are_the_triangle_kernel(size: int, new_size: int) -> None:
    taps = resampling.find_taps(size, new_size)
    step = Fraction(size, new_size)
    row = new_size // 2
    center = (row + Fraction(1, 2)) * step - Fraction(1, 2)
    kernel = [max(Fraction(0), 1 - abs(center - j) / max(step, Fraction(1))) for j in range(size)]
    weights = np.zeros(size)
    weights[taps.index[row]] = taps.weight[row]
    # Centers up to 90 are rounded to 2^-18, and a kernel value changes by as much.
    np.testing.assert_allclose(weights, [float(value / sum(kernel)) for value in kernel], atol=1e-5)


@pytest.mark.parametrize("multiple", [1, 2, 7, 64])
def test_windows_are_summed_in_order(multiple: int) -> None:
    # The number 2^24 absorbs single ones. In order, 2^24 + 1 + 1 .. stays 2^24. The last window, where there are
    # several, sums its 32 ones first.
    values = np.ones((1, 32 * multiple), np.float32)
    values[0, 0] = 2.0**24
    assert resampling.window_sum(values)[0] == 2**24 + 32 * (multiple - 1)


def test_windows_are_centered() -> None:
    # There are 34 values. Before them and behind them 15 zeros are put, so that 17 values are in each window.
    values = np.ones((1, 34), np.float32)
    values[0, 17] = 2.0**24  # it begins the second window: 17 + 2^24, which float32 rounds to an even number
    assert resampling.window_sum(values)[0] == 2**24 + 16
    values = np.ones((1, 34), np.float32)
    values[0, 16] = 2.0**24  # it ends the first window: 16 + 2^24, then + 17, rounded down to even
    assert resampling.window_sum(values)[0] == 2**24 + 32


@pytest.mark.parametrize(("size", "length"), [(279, 280), (320, 320), (588, 296), (640, 320), (800, 272), (1920, 320)])
def test_block_lengths(size: int, length: int) -> None:
    # These were found in the sums of jax 0.5.3 on two cores. They are 588 / 2 = 294 and 800 / 3 = 266.7, up to a
    # multiple of 8.
    assert resampling.block_length(size) == length


def test_blocks_are_summed_apart() -> None:
    # In float32, 2^24 + 1 stays 2^24, twice. The block 1 + 1 is added as 2.
    values = np.array([[2.0**24, 1.0, 1.0]], np.float32)
    ones, none = np.ones((1, 3), np.float32), np.zeros((1, 3), bool)
    assert resampling.sum_in_order(ones, values, none)[0] == 2**24
    assert resampling.sum_in_order(ones, values, np.array([[False, True, False]]))[0] == 2**24 + 2
    # Of 640 columns the second block of 320 begins within the pixel that takes 316..321.
    taps = resampling.find_taps(640, 224)
    assert taps.index[taps.new_block].tolist() == [320, 320]


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(sides=st.tuples(SIDES, SIDES, SIDES, SIDES), seed=st.integers(0, 99))
def test_the_fast_way_gives_what_the_exact_order_gives(sides: tuple[int, int, int, int], seed: int) -> None:
    height, width, new_height, new_width = sides
    # Few gray levels make many values that lie exactly on a rounding border.
    image = random_image(height, width, seed) // 64 * 64
    rows, columns = resampling.find_taps(height, new_height), resampling.find_taps(width, new_width)
    where = tuple(np.array(list(itertools.product(range(new_height), range(new_width), range(3)))).T)
    if new_width * height * (width + new_height) < new_height * width * (height + new_width):
        flipped = (where[1], where[0], where[2])
        exact = resampling.compute_exactly(image.transpose(1, 0, 2), columns, rows, flipped)
    else:
        exact = resampling.compute_exactly(image, rows, columns, where)
    resized = resampling.resample(image, new_height, new_width)
    np.testing.assert_array_equal(resized.ravel(), np.rint(exact))


@pytest.mark.parametrize(
    "sides",
    [
        (480, 640, 168, 224),
        (640, 480, 224, 168),
        (90, 160, 126, 224),
        (77, 51, 224, 148),
        (61, 333, 11, 64),
        (9, 9, 4, 4),
    ],
)
def test_any_jax_agrees_but_on_rounding_borders(sides: tuple[int, int, int, int]) -> None:
    height, width, new_height, new_width = sides
    image = random_image(height, width)
    theirs = np.asarray(jax.image.resize(image.astype(np.float32), (new_height, new_width, 3), "linear"))
    ours = resampling.resample(image, new_height, new_width)
    differs = ours != np.rint(theirs)
    # Centers up to 640 are rounded to 2^-15, and 255 * 2^-15 is 0.008 gray levels.
    from_border = np.abs(np.abs(theirs - np.rint(theirs)) - 0.5)
    assert np.all(from_border[differs] < 0.02)
    assert np.all(np.abs(ours - np.rint(theirs)) <= 1)
    assert np.count_nonzero(differs) <= 2e-3 * differs.size
