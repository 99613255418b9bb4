"""Tests the cameras of LeRobot datasets against what the datasets declare of them."""

from __future__ import annotations

import io
import pathlib
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from chunk_ppo_ros.config import RecordingsConfig, TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.readers import read_episodes
from support.lerobot_sets import CAMERA, FPS, HEIGHT, VIDEO, WIDTH, LeRobotSet, frame, write_video

CONFIG = TrainConfig()
LENGTHS = (8, 6)


def shade(image: np.ndarray) -> int:
    return int(image[5, 5, 1])


@pytest.mark.parametrize(
    ("codec", "pixels", "options"),
    [
        ("libsvtav1", "yuv420p", {"crf": "10", "svtav1-params": "keyint=2"}),
        ("libsvtav1", "yuv420p10le", {"crf": "10", "svtav1-params": "keyint=2"}),
        ("libx264", "yuv420p", {"g": "3", "bf": "3", "crf": "5"}),
        ("libx264", "yuv444p", {"g": "250", "bf": "3", "crf": "5"}),
    ],
)
def test_frames_of_each_kind_of_video(tmp_path: pathlib.Path, codec: str, pixels: str, options: dict[str, str]) -> None:
    """Frames are decoded from key frames far before them, and stand in another order than they are shown."""
    folder = LeRobotSet(lengths=LENGTHS).write(tmp_path)
    write_video(folder / VIDEO, range(14), codec=codec, pixels=pixels, options=options)
    read = read_episodes(folder, CONFIG)
    for episode, step in [(1, 5), (0, 0), (0, 7), (1, 0), (1, 3), (0, 4)]:
        seen = read[episode].cameras["cam_high"](step)
        assert abs(shade(seen) - shade(frame(8 * episode + step))) <= 4, (episode, step)


def test_frames_of_a_video_whose_time_wanders(tmp_path: pathlib.Path) -> None:
    data = LeRobotSet(lengths=(14,))
    times = (np.arange(14) / FPS + np.random.default_rng(1).uniform(-0.01, 0.01, 14)).clip(0).tolist()
    data.rows["timestamp"] = times
    folder = data.write(tmp_path)
    write_video(folder / VIDEO, range(14), times=times)
    camera = read_episodes(folder, CONFIG)[0].cameras["cam_high"]
    assert [round((shade(camera(step)) - 20) / 10) for step in range(14)] == list(range(14))


def test_frames_of_a_video_whose_time_drifts(tmp_path: pathlib.Path) -> None:
    """The recorder was slower than declared by 3 %, so the last frames are a step late. The rows say so."""
    data = LeRobotSet(lengths=(20,))
    times = [1.03 * step / FPS for step in range(20)]
    data.rows["timestamp"] = times
    data.episodes[0][f"videos/{CAMERA}/to_timestamp"] = times[-1] + 1 / FPS
    folder = data.write(tmp_path)
    write_video(folder / VIDEO, range(20), times=times)
    camera = read_episodes(folder, CONFIG)[0].cameras["cam_high"]
    assert [round((shade(camera(step)) - 20) / 10) for step in range(20)] == list(range(20))


def test_videos_that_were_not_downloaded_are_missed_when_an_image_is_read(tmp_path: pathlib.Path) -> None:
    folder = LeRobotSet().write(tmp_path)
    (folder / VIDEO).unlink()
    episode = read_episodes(folder, CONFIG)[0]
    with pytest.raises(EpisodesError, match=r"video must be readable, got .*file-000\.mp4"):
        episode.cameras["cam_high"](0)


@pytest.mark.parametrize("shape", [[HEIGHT, WIDTH, 3], [3, HEIGHT, WIDTH]])
@pytest.mark.parametrize("names", [None, True])
def test_shapes_with_the_channels_first_or_last(tmp_path: pathlib.Path, shape: list[int], names: bool | None) -> None:
    data = LeRobotSet()
    order = ["channel", "height", "width"] if shape[0] == 3 else ["height", "width", "channel"]
    data.features[CAMERA] |= {"shape": shape, "names": order if names else None}
    assert read_episodes(data.write(tmp_path), CONFIG)[0].cameras["cam_high"](1).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("camera", ["video", "image"])
def test_images_of_another_size_than_declared_are_refused(tmp_path: pathlib.Path, camera: str) -> None:
    data = LeRobotSet(camera=camera)
    data.features[CAMERA]["shape"] = [480, 640, 3]
    folder = data.write(tmp_path)
    with pytest.raises(EpisodesError, match=r"images of cam_high must be 640x480 as declared .*, got 48x32 in"):
        read_episodes(folder, CONFIG)[0].cameras["cam_high"](0)


def test_videos_of_another_rate_than_declared_are_refused(tmp_path: pathlib.Path) -> None:
    folder = LeRobotSet(lengths=LENGTHS).write(tmp_path)
    write_video(folder / VIDEO, range(14), fps=25)
    with pytest.raises(EpisodesError, match=r"the 30 frames per second of the dataset \(fps\), the video has 25"):
        read_episodes(folder, CONFIG)
    data = LeRobotSet(lengths=LENGTHS)
    data.features[CAMERA]["info"] = {"video.fps": 15.0}
    with pytest.raises(EpisodesError, match=r"\(fps\), meta/info\.json says of the camera 15"):
        read_episodes(data.write(tmp_path / "declared"), CONFIG)


@pytest.mark.parametrize("frames", [13, 15])
def test_videos_with_another_number_of_frames_are_refused(tmp_path: pathlib.Path, frames: int) -> None:
    folder = LeRobotSet(lengths=LENGTHS).write(tmp_path)
    write_video(folder / VIDEO, range(frames))
    with pytest.raises(EpisodesError, match=rf"must have one frame for each step of its episodes, 14, got {frames} in"):
        read_episodes(folder, CONFIG)


def test_videos_may_have_frames_of_removed_episodes(tmp_path: pathlib.Path) -> None:
    """Episode 0 was removed, and its frames stayed in the video."""
    data = LeRobotSet(lengths=LENGTHS)
    data.rows = {name: values[8:] for name, values in data.rows.items()}
    data.episodes = data.episodes[1:]
    data.info |= {"total_episodes": 1, "total_frames": 6}
    (episode,) = read_episodes(data.write(tmp_path), CONFIG)
    assert abs(shade(episode.cameras["cam_high"](2)) - shade(frame(10))) <= 3


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("from_timestamp", 0.1, r"episodes must not share frames of .*cam_high, got episodes 0 and 1"),
        (
            "to_timestamp",
            1.0,
            r"of 6 steps must take 0\.200 s in the videos of .*cam_high, got 0\.267 to 1\.000",
        ),
        ("from_timestamp", None, r"must have its place in the videos of .*cam_high, got null in row 1"),
        ("from_timestamp", -1.0, r"from_timestamp must be a time in s, got -1\.0 in row 1"),
        ("file_index", -1, r"file_index must be a whole number, got -1 in row 1"),
    ],
)
def test_places_in_videos_that_cannot_be_right_are_refused(
    tmp_path: pathlib.Path, key: str, value: Any, error: str
) -> None:
    data = LeRobotSet(lengths=LENGTHS)
    data.episodes[1][f"videos/{CAMERA}/{key}"] = value
    if value == 0.1:
        data.episodes[1][f"videos/{CAMERA}/to_timestamp"] = 0.3
    with pytest.raises(EpisodesError, match=error):
        read_episodes(data.write(tmp_path), CONFIG)


@pytest.mark.parametrize(
    "template", ["../{video_key}.mp4", "/tmp/{video_key}.mp4", "videos/{video_key}/../../../x.mp4"]
)
def test_paths_that_leave_the_folder_are_refused(tmp_path: pathlib.Path, template: str) -> None:
    data = LeRobotSet()
    data.info["video_path"] = template
    with pytest.raises(EpisodesError, match=r"files of a LeRobot dataset must be in its folder, got '"):
        read_episodes(data.write(tmp_path / "video"), CONFIG)
    data = LeRobotSet()
    data.info["data_path"] = template.format(video_key="x")
    with pytest.raises(EpisodesError, match=r"files of a LeRobot dataset must be in its folder, got '"):
        read_episodes(data.write(tmp_path / "data"), CONFIG)


@pytest.mark.parametrize(
    "template", ["videos/{camera}.mp4", "videos/{0}.mp4", "videos/{video_key", "videos/{video_key.x}"]
)
def test_paths_with_other_fields_are_refused(tmp_path: pathlib.Path, template: str) -> None:
    data = LeRobotSet()
    data.info["video_path"] = template
    with pytest.raises(EpisodesError, match=r"must have the fields video_key, chunk_index, file_index, got"):
        read_episodes(data.write(tmp_path), CONFIG)


@pytest.mark.parametrize(
    "declared",
    [
        {"info": {"video.is_depth_map": True}},
        {"video_info": {"video.is_depth_map": True}},
        {"info": {"is_depth_map": True}},
        {"info": {"video.pix_fmt": "gray12le"}},
    ],
)
def test_depth_cameras_are_named_as_unused(tmp_path: pathlib.Path, declared: dict[str, Any]) -> None:
    data = LeRobotSet()
    name = "observation.images.cam_far"
    data.features[name] = {"dtype": "video", "shape": [HEIGHT, WIDTH, 3], "names": None, **declared}
    episode = read_episodes(data.write(tmp_path), CONFIG)[0]
    assert list(episode.cameras) == ["cam_high"]
    assert episode.facts.unused == (f"{name} [32, 48, 3], a depth camera",)


def test_further_cameras_are_read_and_named(tmp_path: pathlib.Path) -> None:
    data = LeRobotSet(camera="image")
    data.rows["observation.images.front"] = data.rows[CAMERA]
    data.features["observation.images.front"] = data.features[CAMERA]
    episode = read_episodes(data.write(tmp_path), CONFIG)[0]
    assert sorted(episode.cameras) == ["cam_high", "front"]
    assert episode.facts.unused == (
        "observation.images.front [32, 48, 3], a camera that --episode_cameras does not name",
    )


def test_images_that_are_declared_as_something_else_are_refused(tmp_path: pathlib.Path) -> None:
    data = LeRobotSet(camera="image")
    data.features[CAMERA]["dtype"] = "float32"
    with pytest.raises(EpisodesError, match=r"cam_high must hold what meta/info\.json declares, float32, got struct"):
        read_episodes(data.write(tmp_path), CONFIG)


def test_videos_that_are_not_declared_are_named(tmp_path: pathlib.Path) -> None:
    data = LeRobotSet()
    del data.features[CAMERA]
    episode = read_episodes(data.write(tmp_path), CONFIG)[0]
    assert not episode.cameras and episode.facts.unused == (f"{CAMERA}, which meta/info.json does not declare",)


def test_a_place_that_is_wrong_may_be_left_out(tmp_path: pathlib.Path) -> None:
    data = LeRobotSet(lengths=LENGTHS)
    data.episodes[1][f"videos/{CAMERA}/from_timestamp"] = None
    left_out = TrainConfig(recordings=RecordingsConfig(leave_out_episodes=("episode 1",)))
    (episode,) = read_episodes(data.write(tmp_path), left_out)
    assert abs(shade(episode.cameras["cam_high"](7)) - shade(frame(7))) <= 3


def test_gray_videos_may_be_stored_as_colors(tmp_path: pathlib.Path) -> None:
    data = LeRobotSet()
    data.features[CAMERA]["shape"] = [HEIGHT, WIDTH, 1]
    assert "cam_high" in read_episodes(data.write(tmp_path), CONFIG)[0].cameras


def test_videos_of_colors_that_are_declared_as_gray_are_refused(tmp_path: pathlib.Path) -> None:
    data = LeRobotSet()
    data.features[CAMERA]["shape"] = [HEIGHT, WIDTH, 1]
    folder = data.write(tmp_path)
    write_video(folder / VIDEO, range(5), tint=60)
    with pytest.raises(EpisodesError, match=r"cam_high must be gray as declared .*, got colors in .*episode 0\)"):
        read_episodes(folder, CONFIG)


def test_gray_videos_that_are_declared_as_colors_are_refused(tmp_path: pathlib.Path) -> None:
    folder = LeRobotSet().write(tmp_path)
    write_video(folder / VIDEO, range(5), codec="ffv1", pixels="gray")
    with pytest.raises(EpisodesError, match=r"must have 3 channels as declared in meta/info\.json, got 1 in"):
        read_episodes(folder, CONFIG)


def test_videos_without_a_template_of_their_paths_are_refused(tmp_path: pathlib.Path) -> None:
    data = LeRobotSet()
    data.info["video_path"] = None
    with pytest.raises(EpisodesError, match=r"video_path must say where videos are, got none in"):
        read_episodes(data.write(tmp_path), CONFIG)


def test_two_features_of_one_camera_are_refused(tmp_path: pathlib.Path) -> None:
    data = LeRobotSet(camera="image")
    data.rows["cam_high"], data.features["cam_high"] = data.rows[CAMERA], data.features[CAMERA]
    with pytest.raises(EpisodesError, match=r"must have different names, got observation\.images\.cam_high and cam_"):
        read_episodes(data.write(tmp_path), CONFIG)


def test_videos_of_depth_that_are_declared_as_colors_are_refused(tmp_path: pathlib.Path) -> None:
    folder = LeRobotSet().write(tmp_path)
    write_video(folder / VIDEO, range(5), codec="ffv1", pixels="gray16le")
    with pytest.raises(EpisodesError, match=r"got gray of 16 bits in .*file-000\.mp4.*declare is_depth_map for"):
        read_episodes(folder, CONFIG)


def encoded(image: Image.Image) -> bytes:
    image.save(buffer := io.BytesIO(), "PNG")
    return buffer.getvalue()


GRAY = np.full((HEIGHT, WIDTH), 90, np.uint8)
DEPTH = np.full((HEIGHT, WIDTH), 900, np.uint16)


def set_with(content: bytes | None, channels: int = 3) -> LeRobotSet:
    """Returns a dataset whose image of step 1 is a given file."""
    data = LeRobotSet(camera="image")
    data.features[CAMERA]["shape"] = [HEIGHT, WIDTH, channels]
    data.rows[CAMERA][1] = {"bytes": content, "path": None}
    return data


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (Image.fromarray(GRAY), "images of cam_high must have 3 channels as declared in meta/info.json, got 1 in"),
        (
            Image.fromarray(GRAY).convert("RGBA"),
            "images of cam_high must have 3 channels as declared in meta/info.json, got 4 in",
        ),
        (Image.fromarray(DEPTH), "image must have 8 bits a channel, got more (Pillow's mode I;16) in"),
        (Image.new("RGB", (20, 10)), "images of cam_high must be 48x32 as declared in meta/info.json, got 20x10 in"),
    ],
)
def test_images_in_the_rows_are_compared_when_they_are_read(
    tmp_path: pathlib.Path, image: Image.Image, error: str
) -> None:
    camera = read_episodes(set_with(encoded(image)).write(tmp_path), CONFIG)[0].cameras["cam_high"]
    np.testing.assert_array_equal(camera(0), frame(0))
    with pytest.raises(EpisodesError, match=rf"{re.escape(error)} {CAMERA}, row 1 of .*file-000\.parquet"):
        camera(1)


def test_gray_that_is_declared_becomes_colors(tmp_path: pathlib.Path) -> None:
    data = set_with(encoded(Image.fromarray(GRAY)), channels=1)
    camera = read_episodes(data.write(tmp_path), CONFIG)[0].cameras["cam_high"]
    np.testing.assert_array_equal(camera(1), np.full((HEIGHT, WIDTH, 3), 90))


def test_images_that_are_missing_or_cut_short_are_refused_when_they_are_read(tmp_path: pathlib.Path) -> None:
    camera = read_episodes(set_with(None).write(tmp_path / "a"), CONFIG)[0].cameras["cam_high"]
    with pytest.raises(EpisodesError, match=rf"must be in the Parquet files, got none in {CAMERA}, row 1 of"):
        camera(1)
    cut = encoded(Image.fromarray(GRAY))[:60]
    camera = read_episodes(set_with(cut).write(tmp_path / "b"), CONFIG)[0].cameras["cam_high"]
    with pytest.raises(EpisodesError, match=rf"must be a whole JPEG or PNG file, got 60 bytes in {CAMERA}, row 1"):
        camera(1)
