"""Tests that a camera whose images cannot be right is found out by a fake camera, and that a good one is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from chunk_ppo_ros.robot.camera_watch import NUM_IMAGES, CameraWatch, FaultKind


class Camera:
    """A fake camera: a scene with the noise of a sensor, and what can become of it."""

    def __init__(self, mean: float = 120.0, spread: float = 40.0, size: tuple[int, int] = (48, 64)) -> None:
        self._random = np.random.default_rng(0)
        self.mean, self.spread, self.size = mean, spread, size
        self._scene = self._random.normal(size=(*size, 3))

    def shoot(self) -> np.ndarray:
        scene = self._scene if self._scene.shape[:2] == self.size else self._random.normal(size=(*self.size, 3))
        noise = self._random.normal(size=scene.shape)
        return np.clip(self.mean + self.spread * scene + noise, 0, 255).astype(np.uint8)


def kinds(watch: CameraWatch, shoot: Callable[[], np.ndarray], count: int, *, first: int = 0) -> list[list[FaultKind]]:
    """Returns what is wrong after each of some images with rising stamps."""
    return [[fault.kind for fault in watch.see(shoot(), stamp=first + number)] for number in range(1, count + 1)]


def test_a_scene_that_stands_still_before_a_good_camera_is_no_fault() -> None:
    assert kinds(CameraWatch(), Camera().shoot, 100) == [[]] * 100


def test_equal_images_under_new_stamps_are_a_camera_that_stands_still() -> None:
    watch, camera = CameraWatch(), Camera()
    frozen = camera.shoot()
    found = kinds(watch, frozen.copy, NUM_IMAGES + 2)
    assert found == [[]] * NUM_IMAGES + [[FaultKind.FROZEN]] * 2  # The first image is equal to none before.
    assert kinds(watch, camera.shoot, 3, first=100) == [[]] * 3


def test_one_pixel_of_noise_is_enough() -> None:
    watch, image = CameraWatch(), Camera().shoot()

    def shoot() -> np.ndarray:
        image[1, 1, 0] ^= 1  # It is not among the pixels that are compared first.
        return image.copy()

    assert kinds(watch, shoot, 2 * NUM_IMAGES) == [[]] * 2 * NUM_IMAGES


def test_a_driver_that_sends_an_image_a_few_times_is_no_fault() -> None:
    watch, camera = CameraWatch(), Camera()
    for number in range(20):
        assert kinds(watch, camera.shoot().copy, NUM_IMAGES, first=100 * number) == [[]] * NUM_IMAGES


def test_a_stamp_that_is_not_new_does_not_count() -> None:
    watch, image = CameraWatch(), Camera().shoot()
    assert [watch.see(image, stamp=5) for _ in range(3 * NUM_IMAGES)] == [[]] * 3 * NUM_IMAGES


def test_a_covered_lens_is_dark_and_not_frozen() -> None:
    watch, camera = CameraWatch(), Camera(mean=3.0, spread=1.0)
    assert kinds(watch, camera.shoot, NUM_IMAGES + 1) == [[]] * (NUM_IMAGES - 1) + [[FaultKind.DARK]] * 2
    camera.mean = 120.0
    assert kinds(watch, camera.shoot, 1, first=100) == [[]]


@pytest.mark.parametrize(("mean", "spread"), [(12.0, 1.0), (3.0, 30.0)], ids=["gray", "a light in the dark"])
def test_a_dim_scene_is_not_dark(mean: float, spread: float) -> None:
    camera = Camera(mean=mean, spread=spread)
    assert kinds(CameraWatch(), camera.shoot, 2 * NUM_IMAGES) == [[]] * 2 * NUM_IMAGES


def test_a_black_image_that_never_changes_is_both() -> None:
    black = np.zeros((48, 64, 3), np.uint8)
    assert kinds(CameraWatch(), black.copy, NUM_IMAGES + 1)[-1] == [FaultKind.FROZEN, FaultKind.DARK]


def test_another_size_than_before_is_named_at_once_until_it_is_set_back() -> None:
    watch, camera = CameraWatch(), Camera()
    watch.see(camera.shoot(), stamp=1)
    camera.size = (24, 32)
    (fault,) = watch.see(camera.shoot(), stamp=2)
    assert fault.kind is FaultKind.SIZE
    assert fault.text == (
        "its images must keep their size of 64x48 pixels, got 32x24; set its driver back, or start policy_node again"
    )
    camera.size = (48, 64)
    assert watch.see(camera.shoot(), stamp=3) == []
