"""Tests how readings are matched in time. Stamps are in ns, and 20_000_000 ns are 0.02 s."""

from __future__ import annotations

import numpy as np
import pytest

from chunk_ppo_ros.robot.sensor_sync import SensorSync

HIGH, WRIST = "cam_high", "cam_left_wrist"
MS = 1_000_000


def image(value: int) -> np.ndarray:
    return np.full((2, 2, 3), value, np.uint8)


def filled(*, optional: tuple[str, ...] = (), without: str = "") -> SensorSync:
    """Readings at 100 ms (left arm), 110 ms (right arm), 120 ms (cameras), taken at steady time 5 s."""
    sync = SensorSync((HIGH, WRIST), optional_cameras=optional, now=0.0)
    sync.add_state("left", np.arange(7.0), stamp=100 * MS, now=5.0)
    sync.add_state("right", np.arange(7.0, 14.0), stamp=110 * MS, now=5.0)
    for number, camera in enumerate((HIGH, WRIST)):
        if camera != without:
            sync.add_image(camera, image(number), stamp=120 * MS, now=5.0)
    return sync


def test_a_set_holds_the_newest_of_everything_in_order() -> None:
    taken = filled().take(newer_than=0, tolerance=0.05)
    assert taken is not None
    assert taken.stamp == 100 * MS
    assert taken.state.dtype == np.float32
    np.testing.assert_array_equal(taken.state, np.arange(14))
    np.testing.assert_array_equal(taken.images[1], image(1))
    assert taken.image_mask.tolist() == [True, True]


@pytest.mark.parametrize(("newer_than", "there"), [(100 * MS, True), (100 * MS + 1, False)])
def test_every_reading_must_be_new_enough(newer_than: int, there: bool) -> None:
    assert (filled().take(newer_than=newer_than, tolerance=0.05) is not None) == there


@pytest.mark.parametrize(("tolerance", "there"), [(0.021, True), (0.019, False)])
def test_the_spread_is_limited(tolerance: float, there: bool) -> None:
    assert (filled().take(newer_than=0, tolerance=tolerance) is not None) == there


def test_a_missing_camera_is_waited_for() -> None:
    assert filled(without=WRIST).take(newer_than=0, tolerance=1.0) is None


def test_an_optional_camera_is_masked_while_absent() -> None:
    taken = filled(optional=(WRIST,), without=WRIST).take(newer_than=0, tolerance=1.0)
    assert taken is not None
    assert taken.image_mask.tolist() == [True, False]
    assert taken.images[1] is None


def test_an_optional_camera_that_has_sent_is_waited_for_again() -> None:
    sync = filled(optional=(WRIST,))
    sync.add_image(HIGH, image(9), stamp=300 * MS, now=6.0)
    sync.add_state("left", np.zeros(7), stamp=300 * MS, now=6.0)
    sync.add_state("right", np.zeros(7), stamp=300 * MS, now=6.0)
    assert sync.take(newer_than=200 * MS, tolerance=1.0) is None


def test_optional_cameras_must_be_known() -> None:
    with pytest.raises(ValueError, match="must be among cam_high, cam_left_wrist, got cam_low"):
        SensorSync((HIGH, WRIST), optional_cameras=("cam_low",), now=0.0)


def test_a_silent_sensor_is_named_with_its_silence() -> None:
    sync = filled()
    sync.add_image(HIGH, image(0), stamp=130 * MS, now=6.0)
    for side in ("left", "right"):
        sync.add_state(side, np.zeros(7), stamp=130 * MS, now=6.0)
    assert sync.silent(6.9, timeout=2.0) == []
    assert [str(sensor) for sensor in sync.silent(7.5, timeout=2.0)] == [f"{WRIST} is silent for 2.5 s"]


def test_a_camera_that_never_came_counts_from_the_start() -> None:
    assert [(sensor.name, sensor.silence) for sensor in filled(without=WRIST).silent(5.5, 5.0)] == [(WRIST, 5.5)]


def test_a_frozen_camera_is_told_from_a_silent_one() -> None:
    sync = filled()
    sync.add_image(WRIST, image(77), stamp=120 * MS, now=7.9)
    (frozen,) = [sensor for sensor in sync.silent(8.0, timeout=1.0) if sensor.name == WRIST]
    assert frozen.frozen
    assert frozen.silence == pytest.approx(3.0)
    taken = sync.take(newer_than=0, tolerance=1.0)
    assert taken is not None
    np.testing.assert_array_equal(taken.images[1], image(1))


def test_an_absent_optional_camera_is_not_reported() -> None:
    silent = filled(optional=(WRIST,), without=WRIST).silent(100.0, 5.0)
    assert [sensor.name for sensor in silent] == [HIGH, "left arm", "right arm"]


def test_silence_counts_from_when_news_is_expected() -> None:
    sync = filled()
    sync.expect(50.0)
    assert sync.silent(54.0, timeout=5.0) == []
    assert len(sync.silent(56.0, timeout=5.0)) == 4
