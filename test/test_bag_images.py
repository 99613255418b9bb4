"""Tests images of demonstrations whose sizes, encodings or checksums do not fit what the recording says."""

from __future__ import annotations

import io
import pathlib
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image
from rosbags.rosbag2 import StoragePlugin

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.readers import read_episodes
from support.teleop_bags import COMPRESSED, HIGH, IMAGE, LOW, Recording

CONFIG = TrainConfig()


def png(pixels: np.ndarray) -> np.ndarray:
    Image.fromarray(pixels).save(buffer := io.BytesIO(), "PNG")
    return np.frombuffer(buffer.getvalue(), np.uint8)


def test_a_size_that_changes_is_refused_where_the_camera_is_used(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 200)
    recording.images(HIGH, range(0, 100, 30))
    fields = {"height": 2, "width": 2, "encoding": "rgb8", "is_bigendian": 0, "step": 6, "data": np.zeros(12, np.uint8)}
    recording.write(HIGH, IMAGE, 150, **fields)
    recording.images(LOW, range(0, 220, 30))
    recording.close()
    (episode,) = read_episodes(tmp_path, CONFIG)
    assert episode.cameras["cam_low"](0).shape == (2, 4, 3)
    text = "the images of a camera must have one size, got 4 of 4 x 2 bgr8, 1 of 2 x 2 rgb8 on /lab/cam_high/"
    with pytest.raises(EpisodesError, match=text):
        episode.cameras["cam_high"](0)
    assert any(text in said for said in episode.facts.said)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"encoding": "bayer_rggb8"}, "encoding must be one of .*, got 'bayer_rggb8'"),
        ({"encoding": "yuv422_yuy2"}, "encoding must be one of .*, got 'yuv422_yuy2'"),
        ({"step": 11}, "step must be at least 12 bytes"),
        ({"height": 3}, r"must have step \* height = 12 \* 3 bytes, got 24"),
        ({"width": 0}, "at least one pixel, got 2 rows of 0"),
    ],
)
def test_declared_and_recorded_images_must_fit(tmp_path: pathlib.Path, fields: dict[str, object], problem: str) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100)
    whole = {"height": 2, "width": 4, "encoding": "bgr8", "is_bigendian": 0, "step": 12, "data": np.zeros(24, np.uint8)}
    recording.write(HIGH, IMAGE, 0, **whole | fields)
    recording.close()
    (episode,) = read_episodes(tmp_path, CONFIG)
    with pytest.raises(EpisodesError, match=f"{problem}.* on /lab/cam_high/.*, step 0 of .*one"):
        episode.cameras["cam_high"](0)


@pytest.mark.parametrize(
    ("encoding", "step", "pixel", "expected"),
    [
        ("rgb8", 3, [1, 2, 3], [1, 2, 3]),
        ("bgr8", 3, [1, 2, 3], [3, 2, 1]),
        ("rgba8", 4, [1, 2, 3, 9], [1, 2, 3]),
        ("bgra8", 4, [1, 2, 3, 9], [3, 2, 1]),
        ("mono8", 1, [5], [5, 5, 5]),
        ("rgb8", 8, [1, 2, 3, 0, 0, 0, 0, 0], [1, 2, 3]),  # padded
    ],
)
def test_encodings(tmp_path: pathlib.Path, encoding: str, step: int, pixel: list[int], expected: list[int]) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100)
    data = np.array(pixel * 2, np.uint8)
    recording.write(HIGH, IMAGE, 0, height=2, width=1, encoding=encoding, is_bigendian=0, step=step, data=data)
    recording.close()
    (episode,) = read_episodes(tmp_path, CONFIG)
    np.testing.assert_array_equal(episode.cameras["cam_high"](0), [[expected], [expected]])


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ("16UC1; png compressed ", "must be of rgb8, .*, got '16UC1; png compressed '"),
        ("rgb8; jpeg compressed rgb8", "where red and blue may be exchanged; record the raw images"),
    ],
)
def test_compressed_images_of_unknown_meaning_are_refused(tmp_path: pathlib.Path, form: str, problem: str) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100)
    recording.write(f"{HIGH}/compressed", COMPRESSED, 0, format=form, data=png(np.zeros((2, 2, 3), np.uint8)))
    recording.close()
    (episode,) = read_episodes(tmp_path, CONFIG)
    with pytest.raises(EpisodesError, match=problem):
        episode.cameras["cam_high"](0)


@pytest.mark.parametrize("form", ["jpeg", "png", "bgr8; png compressed bgr8", "rgb8; jpeg compressed bgr8"])
def test_formats_of_compressed_images(tmp_path: pathlib.Path, form: str) -> None:
    """The colors are those of the file, whatever array the driver compressed."""
    pixels = np.full((2, 3, 3), [200, 10, 60], np.uint8)
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100)
    recording.write(f"{HIGH}/compressed", COMPRESSED, 0, format=form, data=png(pixels))
    recording.close()
    (episode,) = read_episodes(tmp_path, CONFIG)
    np.testing.assert_array_equal(episode.cameras["cam_high"](0), pixels)
    assert any(f"3 x 2 {form}" in said for said in episode.facts.said)


def test_the_checksum_of_a_chunk_is_compared(tmp_path: pathlib.Path) -> None:
    """The writer of the tests gives no checksum, so one is put into the chunk's record."""
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100)
    recording.images(HIGH, range(0, 120, 30))
    recording.close()
    (file,) = (tmp_path / "one").glob("*.mcap")
    content = bytearray(file.read_bytes())
    start = content.index(b"ros2") + len(b"ros2") + 4 + len(b"rosbags-0.11.9")
    assert content[start] == 6  # a chunk: its kind, its length (8), two times (8 each), its size (8), its checksum (4)
    head = start + 9
    size = int.from_bytes(content[head + 16 : head + 24], "little")
    chunk = head + 28 + 4 + 8
    content[head + 24 : head + 28] = zlib.crc32(content[chunk : chunk + size]).to_bytes(4, "little")
    file.write_bytes(content)
    assert len(read_episodes(tmp_path, CONFIG)) == 1
    pixel = content.index(bytes([7, 0, 9, 7, 0, 9]))
    content[pixel] = 8
    file.write_bytes(content)
    with pytest.raises(EpisodesError, match=r"one\.mcap: a chunk must have its checksum, got another one"):
        read_episodes(tmp_path, CONFIG)


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3], ids=["mcap", "sqlite3"])
def test_images_are_not_held_while_a_bag_is_read(tmp_path: pathlib.Path, storage: StoragePlugin) -> None:
    """A bag of 37 MB is read with a few MB, so that bags may be larger than the memory."""
    recording = Recording(tmp_path / "one", storage=storage)
    fields = {"height": 480, "width": 640, "encoding": "rgb8", "is_bigendian": 0, "step": 1920}
    for time_ms in range(0, 800, 20):
        recording.arms(time_ms, time_ms + 10)
        recording.write(HIGH, IMAGE, time_ms, **fields, data=np.full(480 * 640 * 3, time_ms // 20, np.uint8))
    recording.close()
    read_episodes(tmp_path, CONFIG)  # The types of the messages are known from here on.
    tracemalloc.start()
    try:
        (episode,) = read_episodes(tmp_path, CONFIG)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12e6
    assert [int(episode.cameras["cam_high"](step)[0, 0, 0]) for step in (0, 17, 39)] == [0, 17, 39]
