"""Tests the forms in which HDF5 files have images, and which of them are refused."""

from __future__ import annotations

import io
import pathlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from chunk_ppo_ros.config import RecordingsConfig, TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.data.readers import read_episodes
from support.aloha_files import PICTURE, write_aloha
from support.recordings import jpegs

GRAY = PICTURE[..., :1]
FLAT = np.broadcast_to(np.array([200, 30, 60], np.uint8), (6, 8, 10, 3))


def read(path: pathlib.Path, **recordings: Any) -> Episode:
    (episode,) = read_episodes(path, TrainConfig(recordings=RecordingsConfig(**recordings)))
    return episode


def with_images(folder: pathlib.Path, images: Any, name: str = "cam_high") -> pathlib.Path:
    return write_aloha(folder / "episode_0.hdf5", images={name: images})


def pictures(episode: Episode, name: str = "cam_high") -> np.ndarray:
    frames = np.stack([episode.cameras[name](step) for step in range(len(episode))])
    assert frames.dtype == np.uint8 and frames.shape[-1] == 3
    return frames


# The tests below are about raw images.

FORMS: dict[str, tuple[Any, Any]] = {
    "RGB": (PICTURE, PICTURE),
    "channels first": (np.moveaxis(PICTURE, -1, 1), PICTURE),
    "gray": (GRAY[..., 0], np.repeat(GRAY, 3, -1)),
    "gray, one channel last": (GRAY, np.repeat(GRAY, 3, -1)),
    "gray, one channel first": (np.moveaxis(GRAY, -1, 1), np.repeat(GRAY, 3, -1)),
    "RGBA": (np.concatenate([PICTURE, np.full_like(GRAY, 9)], -1), PICTURE),
    "RGBA, channels first": (np.moveaxis(np.concatenate([PICTURE, GRAY], -1), -1, 1), PICTURE),
    "float of 0..1": (PICTURE.astype(np.float32) / 255, PICTURE),
    "double of 0..1, channels first": (np.moveaxis(PICTURE / 255.0, -1, 1), PICTURE),
    "half float of 0..1": ((PICTURE / 255.0).astype(np.float16), PICTURE),
    "float of 0..255": (PICTURE.astype(np.float32), PICTURE),
    "wide integers of 0..255": (PICTURE.astype(np.int64), PICTURE),
    "uint16 of 0..255": (PICTURE.astype(np.uint16), PICTURE),
}


@pytest.mark.parametrize("kind", list(FORMS))
def test_raw_images_become_rgb(tmp_path: pathlib.Path, kind: str) -> None:
    recorded, expected = FORMS[kind]
    episode = read(with_images(tmp_path, recorded))
    np.testing.assert_array_equal(pictures(episode), expected)
    assert "The raw images of cam_high are taken as RGB." in episode.facts.assumed
    # The order of the channels is for compressed images.
    np.testing.assert_array_equal(pictures(read(with_images(tmp_path, recorded), channel_order="bgr")), expected)


REFUSED: dict[str, tuple[Any, str]] = {
    "two channels": (PICTURE[..., :2], r"\[6, 8, 10, 2\] of uint8"),
    "channels in both axes": (PICTURE[:, :3], r"first or in the last axis and not in both, got \[6, 3, 10, 3\]"),
    "five axes": (PICTURE[:, None], r"\[6, 1, 8, 10, 3\] of uint8"),
    "complex": (PICTURE.astype(np.complex64), "of complex64"),
    "bool": (PICTURE > 9, "of bool"),
    "signed bytes": (PICTURE.astype(np.int8), "of int8"),
    "float beyond 255": (PICTURE * 257.0, r"values of 0\.\.1 or 0\.\.255 \(they have"),
    "float below 0": (PICTURE / 127.5 - 1.0, r"values of 0\.\.1 or 0\.\.255"),
    "NaN": (np.full(PICTURE.shape, np.nan), "they have nan"),
    "16 bits": (PICTURE.astype(np.uint16) * 257, r"values of 0\.\.1 or 0\.\.255"),
    "numbers [steps, length]": (np.zeros((6, 80), np.float32), "bytes or arrays of pixels, got .*of float32"),
    "distances": (PICTURE[..., 0].astype(np.uint16), "colors or gray levels, not distances"),
    "distances in m": (PICTURE[..., :1] / 100.0, "colors or gray levels, not distances"),
    "one number": (np.uint8(3), "a step in each row"),
}


@pytest.mark.parametrize("kind", list(REFUSED))
def test_other_images_are_refused_with_their_shape(tmp_path: pathlib.Path, kind: str) -> None:
    recorded, text = REFUSED[kind]
    with pytest.raises(
        EpisodesError, match=rf"images of camera cam_high must .*{text}.* in .*episode_0\.hdf5; convert"
    ):
        read(with_images(tmp_path, recorded))


def test_a_camera_that_nobody_needs_is_named_in_the_place_of_a_refusal(tmp_path: pathlib.Path) -> None:
    images = {"cam_high": PICTURE, "cam_low": PICTURE[..., :2], "cam_depth": PICTURE[..., 0]}
    images["cam_high_aligned"] = PICTURE[..., 0].astype(np.uint16)
    episode = read(write_aloha(tmp_path / "episode_0.hdf5", images=images))
    assert list(episode.cameras) == ["cam_high"]
    assert sorted(episode.facts.unused) == [
        "observations/images/cam_depth [6, 8, 10], distances",
        "observations/images/cam_high_aligned [6, 8, 10], distances, or images of more than 8 bits",
        "observations/images/cam_low [6, 8, 10, 2], images of a camera",
    ]


def test_a_single_image_beyond_the_range_of_the_others_is_refused(tmp_path: pathlib.Path) -> None:
    """Five images tell the range of twelve; the others are checked when they are read."""
    images = np.zeros((12, 8, 10, 3), np.float32)
    images[1] = 300.0
    states = np.zeros((12, 14), np.float32)
    path = write_aloha(tmp_path / "episode_0.hdf5", states=states, actions=states, images={"cam_high": images})
    with pytest.raises(EpisodesError, match=r"values of 0\.\.1, got .*300.* in cam_high, step 1 of"):
        read(path).cameras["cam_high"](1)


# The tests below are about compressed images.


def vlen(files: list[bytes], kind: Any = np.uint8) -> Callable[[h5py.File], object]:
    def write(file: h5py.File) -> None:
        dataset = file.create_dataset("observations/images/cam_high", (len(files),), dtype=h5py.vlen_dtype(kind))
        for step, content in enumerate(files):
            dataset[step] = np.frombuffer(content, kind)

    return write


def encoded(kind: str, images: np.ndarray = FLAT) -> list[bytes]:
    files = []
    for image in images:
        Image.fromarray(image).save(buffer := io.BytesIO(), kind, quality=100)
        files.append(buffer.getvalue())
    return files


PADDED = jpegs(FLAT)
COMPRESSED: dict[str, Any] = {
    "padded": PADDED,
    "signed bytes": PADDED.view(np.int8),
    "a column": PADDED[:, :, None],
    "a row": PADDED[:, None],
    "bytes of one length": np.array(encoded("JPEG"), "S"),
    "a column of bytes": np.array(encoded("JPEG"), "S")[:, None],
    "opaque": np.array([np.void(row.tobytes()) for row in PADDED]),
    "PNG": np.array(encoded("PNG"), "S"),
}


@pytest.mark.parametrize("kind", list(COMPRESSED))
def test_compressed_images_become_rgb(tmp_path: pathlib.Path, kind: str) -> None:
    episode = read(with_images(tmp_path, COMPRESSED[kind]))
    np.testing.assert_allclose(pictures(episode), FLAT, atol=3)
    assert any("--channel_order" in sentence and "cam_high" in sentence for sentence in episode.facts.assumed)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_compressed_images_of_varying_length(tmp_path: pathlib.Path, dtype: Any) -> None:
    for more in (vlen(encoded("JPEG"), dtype), vlen(encoded("PNG"), dtype)):
        episode = read(write_aloha(tmp_path / "episode_0.hdf5", images={}, more=more))
        np.testing.assert_allclose(pictures(episode), FLAT, atol=3)


def test_red_and_blue_are_exchanged_by_the_flag(tmp_path: pathlib.Path) -> None:
    """An RGB array that is given to OpenCV as BGR becomes a JPEG file with red and blue exchanged."""
    path = with_images(tmp_path, jpegs(FLAT[..., ::-1]))
    np.testing.assert_allclose(pictures(read(path))[0, 0, 0], [60, 30, 200], atol=3)
    episode = read(path, channel_order="bgr")
    np.testing.assert_allclose(pictures(episode)[0, 0, 0], [200, 30, 60], atol=3)
    assert any("exchanged once they are decoded, by --channel_order" in sentence for sentence in episode.facts.said)


@pytest.mark.parametrize(("name", "expected"), [("base_action", True), ("other", False)])
def test_a_recorder_that_exchanges_colors_is_named(tmp_path: pathlib.Path, name: str, expected: bool) -> None:
    for images, says in ((PADDED, expected), (PICTURE, False)):
        path = write_aloha(
            tmp_path / "episode_0.hdf5",
            images={"cam_high": images},
            more=lambda file: file.create_dataset(name, data=np.zeros((6, 2))),
        )
        assert any("set --channel_order bgr" in sentence for sentence in read(path).facts.assumed) == says
        assert not any("bgr" in sentence for sentence in read(path, channel_order="bgr").facts.assumed)


def test_gray_files_become_rgb(tmp_path: pathlib.Path) -> None:
    episode = read(with_images(tmp_path, np.array(encoded("PNG", GRAY[..., 0]), "S")))
    np.testing.assert_array_equal(pictures(episode), np.repeat(GRAY, 3, -1))


def test_files_of_more_than_8_bits_are_refused(tmp_path: pathlib.Path) -> None:
    files = np.array(encoded("PNG", GRAY[..., 0].astype(np.uint16) * 257), "S")
    with pytest.raises(EpisodesError, match=r"8 bits a channel, got more .* in cam_high, step 0 of .*episode_0"):
        read(with_images(tmp_path, files))


def test_an_image_of_another_size_is_refused(tmp_path: pathlib.Path) -> None:
    files = encoded("PNG")
    files[3] = encoded("PNG", FLAT[:, :4])[0]
    episode = read(with_images(tmp_path, np.array(files, "S")))
    with pytest.raises(EpisodesError, match=r"of one size, got \(4, 10\) after \(8, 10\) in cam_high, step 3 of"):
        episode.cameras["cam_high"](3)


def test_an_attribute_that_contradicts_the_images_is_named(tmp_path: pathlib.Path) -> None:
    for images, said, words in ((PICTURE, True, "raw"), (PADDED, False, "compressed")):
        path = write_aloha(tmp_path / "episode_0.hdf5", images={"cam_high": images}, attributes={"compress": said})
        assert f"The attribute compress is {said}, but cam_high is taken as {words}." in read(path).facts.assumed


# The tests below are about where images are.


def test_a_camera_that_is_a_group(tmp_path: pathlib.Path) -> None:
    images = {"cam_high/color": PICTURE, "cam_high/depth": PICTURE[..., 0], "cam_low/frames": PICTURE[::-1]}
    episode = read(write_aloha(tmp_path / "episode_0.hdf5", images=images))
    np.testing.assert_array_equal(pictures(episode), PICTURE)
    np.testing.assert_array_equal(pictures(episode, "cam_low"), PICTURE[::-1])
    assert "observations/images/cam_high/depth [6, 8, 10], distances" in episode.facts.unused


def test_a_camera_with_a_dataset_for_each_step_is_refused(tmp_path: pathlib.Path) -> None:
    images = {f"cam_high/{step}": image for step, image in enumerate(PICTURE)}
    with pytest.raises(EpisodesError, match="camera cam_high must be a dataset of images, got a group of 0, 1, 2"):
        read(write_aloha(tmp_path / "episode_0.hdf5", images=images))


def test_links_to_images_are_followed(tmp_path: pathlib.Path) -> None:
    with h5py.File(tmp_path / "pool.h5", "w") as file:
        file["somewhere/high"] = PICTURE

    def link(file: h5py.File) -> None:
        file["observations/images/cam_high"] = h5py.ExternalLink("pool.h5", "/somewhere/high")
        file["more"] = PICTURE[::-1]
        file["observations/images/cam_left_wrist"] = h5py.SoftLink("/more")

    episode = read(write_aloha(tmp_path / "episode_0.hdf5", images={}, more=link))
    np.testing.assert_array_equal(pictures(episode), PICTURE)
    np.testing.assert_array_equal(pictures(episode, "cam_left_wrist"), PICTURE[::-1])
    assert episode.facts.unused == ()


@pytest.mark.parametrize("link", [h5py.SoftLink("/nowhere"), h5py.ExternalLink("gone.h5", "/x")])
def test_a_link_to_nothing_is_refused(tmp_path: pathlib.Path, link: Any) -> None:
    with pytest.raises(EpisodesError, match="camera cam_high must be a dataset of images, got a link to nothing"):
        read(with_images(tmp_path, link))
    episode = read(with_images(tmp_path, link, "cam_low"))
    assert episode.facts.unused == ("observations/images/cam_low, a link to nothing",)


def test_floats_a_little_above_white_are_white(tmp_path: pathlib.Path) -> None:
    images = PICTURE / 255.0
    images[0, 0, 0] = 1.0001
    shown = pictures(read(with_images(tmp_path, images)))
    np.testing.assert_array_equal(shown[0, 0, 0], [255, 255, 255])
    np.testing.assert_array_equal(shown[1:], PICTURE[1:])


@pytest.mark.parametrize(
    ("images", "error"),
    [(PICTURE / 100.0, "their largest is 2.5"), (np.zeros((6, 0, 0, 3), np.uint8), "must have pixels")],
)
def test_images_without_a_known_white_or_without_pixels_are_refused(
    tmp_path: pathlib.Path, images: np.ndarray, error: str
) -> None:
    with pytest.raises(EpisodesError, match=error):
        read(with_images(tmp_path, images))
