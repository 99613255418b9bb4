"""Tests episodes of LeRobot datasets, which are made here as LeRobot makes them, with videos or images in the rows."""

from __future__ import annotations

import fractions
import io
import json
import pathlib
from typing import Any

import av
import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from chunk_ppo_ros.config import RunConfig, TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.readers import read_all, read_episodes
from support.recordings import numbers

CONFIG = TrainConfig()
FPS = 30
LENGTHS = (3, 2, 4)
PICTURES = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
VIDEO, PICTURE = "observation.images.cam_high", "observation.image"


def frame(number: int) -> np.ndarray:
    """Returns a frame whose gray shows its number, and whose bright left half shows that it is not mirrored."""
    image = np.full((32, 48, 3), 20 + 20 * number, np.uint8)
    image[:, :24] += 30
    return image


def write_video(path: pathlib.Path, frame_numbers: list[int], *, gop: int = 2) -> None:
    """Writes frames at FPS. The number -1 leaves a gap of one frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"g": str(gop), "crf": "10"})
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        for time, number in enumerate(frame_numbers):
            if number >= 0:
                picture = av.VideoFrame.from_ndarray(frame(number), format="rgb24")
                picture.pts, picture.time_base = time, fractions.Fraction(1, FPS)
                container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def png(image: np.ndarray) -> bytes:
    Image.fromarray(image).save(buffer := io.BytesIO(), "PNG")
    return buffer.getvalue()


def write_lerobot(
    folder: pathlib.Path, *, version: Any = "v3.0", task_column: str = "task", fixed: bool = False
) -> pathlib.Path:
    """Writes episodes of 3, 2 and 4 steps in two files, of which the first ends within the second episode.

    The video of the last episode is in another file than that of the first two. Frames are numbered through.
    """
    episodes = np.repeat([0, 1, 2], LENGTHS)
    vectors = pyarrow.list_(pyarrow.float32(), 14) if fixed else pyarrow.list_(pyarrow.float32())
    table = pyarrow.table(
        {
            "action": pyarrow.array(list(numbers(9) + 1), vectors),
            "observation.state": pyarrow.array(list(numbers(9)), vectors),
            "timestamp": np.concatenate([np.arange(length) for length in LENGTHS]).astype(np.float32) / FPS,
            "episode_index": episodes,
            "task_index": np.where(episodes == 1, 1, 0),
            "next.success": np.array([False] * 2 + [True] + [False] * 6),
            PICTURE: pyarrow.array([{"bytes": png(frame(number)), "path": None} for number in range(9)], PICTURES),
        }
    )
    for number, part in enumerate([table.slice(0, 4), table.slice(4)]):
        file = folder / "data" / "chunk-000" / f"file-{number:03d}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(part, file, row_group_size=2)
    (folder / "meta").mkdir()
    tasks = pyarrow.table({"task_index": [0, 1], task_column: ["stack the cubes", "open the drawer"]})
    parquet.write_table(tasks, folder / "meta" / "tasks.parquet")
    places = {"chunk_index": [0, 0, 0], "file_index": [0, 0, 1], "from_timestamp": [0.0, 3 / FPS, 0.0]}
    meta = pyarrow.table({"episode_index": [0, 1, 2], **{f"videos/{VIDEO}/{k}": v for k, v in places.items()}})
    (folder / "meta" / "episodes" / "chunk-000").mkdir(parents=True)
    parquet.write_table(meta, folder / "meta" / "episodes" / "chunk-000" / "file-000.parquet")
    for number, frames in enumerate(([0, 1, 2, 3, 4], [5, 6, 7, 8])):
        write_video(folder / "videos" / VIDEO / "chunk-000" / f"file-{number:03d}.mp4", frames)
    features: dict[str, Any] = {name: {"dtype": "float32"} for name in table.column_names}
    features |= {VIDEO: {"dtype": "video"}, PICTURE: {"dtype": "image"}}
    place = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    info = {"codebase_version": version, "fps": FPS, "video_path": place, "features": features}
    (folder / "meta" / "info.json").write_text(json.dumps(info))
    return folder


@pytest.mark.parametrize(("task_column", "fixed"), [("task", False), ("__index_level_0__", True)])
def test_the_rows_of_a_dataset_become_episodes(tmp_path: pathlib.Path, task_column: str, fixed: bool) -> None:
    read = read_episodes(write_lerobot(tmp_path, task_column=task_column, fixed=fixed), CONFIG)
    assert [len(each) for each in read] == [3, 2, 4]
    np.testing.assert_array_equal(read[1].states, numbers(9)[3:5])
    np.testing.assert_array_equal(read[1].actions, numbers(9)[3:5] + 1)
    assert [each.prompt for each in read] == ["stack the cubes", "open the drawer", "stack the cubes"]
    assert [each.success for each in read] == [True, False, False]
    assert read[0].rate == FPS and sorted(read[0].cameras) == ["cam_high", "image"]


def test_every_frame_is_that_of_its_step(tmp_path: pathlib.Path) -> None:
    """Frames are numbered through. Reading works backwards and across files as well as forwards."""
    read = read_episodes(write_lerobot(tmp_path), CONFIG)
    first = np.cumsum([0, *LENGTHS])
    for episode, step in [(0, 0), (0, 2), (1, 1), (1, 0), (2, 3), (2, 1), (0, 1), (0, 1)]:
        expected = frame(int(first[episode]) + step)
        video = read[episode].cameras["cam_high"](step)
        assert video.shape == (32, 48, 3) and video.dtype == np.uint8
        error = np.mean((video.astype(float) - expected) ** 2)
        assert error < 10, (episode, step)  # 38 dB; the next frame would be at 20^2 = 400
        np.testing.assert_array_equal(read[episode].cameras["image"](step), expected)


def test_a_video_with_few_key_frames(tmp_path: pathlib.Path) -> None:
    """Of nine frames one is a key frame, from which a wanted frame is decoded."""
    folder = write_lerobot(tmp_path)
    write_video(folder / "videos" / VIDEO / "chunk-000" / "file-001.mp4", [5, 6, 7, 8], gop=100)
    read = read_episodes(folder, CONFIG)[2].cameras["cam_high"]
    for step in (3, 1, 2, 0):
        assert abs(int(read(step)[16, 40, 1]) - int(frame(5 + step)[16, 40, 1])) <= 3


def test_a_video_that_lacks_a_frame_in_the_middle(tmp_path: pathlib.Path) -> None:
    folder = write_lerobot(tmp_path)
    write_video(folder / "videos" / VIDEO / "chunk-000" / "file-000.mp4", [0, -1, 2, 3])
    read = read_episodes(folder, CONFIG)
    with pytest.raises(EpisodesError, match=r"within 0\.0167 s of 0\.033 s, got one at 0\.067 s in .*lacks frames"):
        read[0].cameras["cam_high"](1)
    with pytest.raises(EpisodesError, match=r"frame within 0\.0167 s of 0\.133 s, got none in .*file-000\.mp4"):
        read[1].cameras["cam_high"](1)


def test_videos_that_are_cut_short_are_refused_before_an_image_is_read(tmp_path: pathlib.Path) -> None:
    folder = write_lerobot(tmp_path)
    file = folder / "videos" / VIDEO / "chunk-000" / "file-000.mp4"
    write_video(file, [0, 1, 2])
    with pytest.raises(
        EpisodesError, match=r"video of cam_high must last to the end.* 0\.167 s, got 0\.1.*episode 1\)"
    ):
        read_episodes(folder, CONFIG)
    write_video(file, [0, 1])
    with pytest.raises(
        EpisodesError, match=r"must have a frame for each step of its episodes, 3, got 2 in .*episode 0\)"
    ):
        read_episodes(folder, CONFIG)
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(EpisodesError, match=r"video must be readable, got .*file-000\.mp4.*download"):
        read_episodes(folder, CONFIG)


def test_videos_without_their_places_are_refused(tmp_path: pathlib.Path) -> None:
    folder = write_lerobot(tmp_path)
    (folder / "meta" / "episodes" / "chunk-000" / "file-000.parquet").unlink()
    with pytest.raises(EpisodesError, match=r"must have meta/episodes/chunk-\*/file-\*\.parquet, got none"):
        read_episodes(folder, CONFIG)


def test_images_beside_the_rows_are_refused(tmp_path: pathlib.Path) -> None:
    folder = write_lerobot(tmp_path)
    file = folder / "data" / "chunk-000" / "file-001.parquet"
    table = parquet.read_table(file)
    pictures = pyarrow.array([{"bytes": None, "path": "one.png"}] * len(table), PICTURES)
    parquet.write_table(table.set_column(table.column_names.index(PICTURE), PICTURE, pictures), file)
    with pytest.raises(EpisodesError, match=r"must be in the Parquet files, got none in observation\.image, row 1"):
        read_episodes(folder, CONFIG)[2].cameras["image"](0)


def test_a_given_prompt_replaces_the_tasks(tmp_path: pathlib.Path) -> None:
    read = read_episodes(write_lerobot(tmp_path), TrainConfig(run=RunConfig(prompt="tidy up")))
    assert {each.prompt for each in read} == {"tidy up"}


@pytest.mark.parametrize("version", ["v1.6", "2.1", "v4.0", "", 3])
def test_other_versions_of_lerobot_are_refused(tmp_path: pathlib.Path, version: Any) -> None:
    with pytest.raises(EpisodesError, match=rf"version v2\.0, v2\.1, v3, got {version} in .*convert it with LeRobot"):
        read_episodes(write_lerobot(tmp_path, version=version), CONFIG)


def test_a_damaged_dataset_is_refused(tmp_path: pathlib.Path) -> None:
    folder = write_lerobot(tmp_path)
    (folder / "data" / "chunk-000" / "file-001.parquet").write_bytes(b"PAR1")
    with pytest.raises(EpisodesError, match="LeRobot dataset must be whole"):
        read_episodes(folder, CONFIG)
    for file in (folder / "data" / "chunk-000").iterdir():
        file.unlink()
    with pytest.raises(EpisodesError, match=r"must have data/chunk-\*/file-\*\.parquet, got none"):
        read_episodes(folder, CONFIG)


def test_missing_features_are_named(tmp_path: pathlib.Path) -> None:
    folder = write_lerobot(tmp_path)
    info = json.loads((folder / "meta" / "info.json").read_text())
    del info["features"]["action"]
    (folder / "meta" / "info.json").write_text(json.dumps(info))
    with pytest.raises(EpisodesError, match="must have observation.state, action, .* got observation.state, timestamp"):
        read_episodes(folder, CONFIG)


def test_a_camera_is_named_as_its_feature_where_that_has_no_prefix_and_videos_may_be_absent(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_lerobot(tmp_path)
    file = folder / "meta" / "info.json"
    info = json.loads(file.read_text())
    del info["features"][VIDEO]
    file.write_text(json.dumps(info).replace(f'"{PICTURE}"', '"front"'))
    for part in (folder / "data" / "chunk-000").iterdir():
        table = parquet.read_table(part)
        parquet.write_table(table.rename_columns([name.replace(PICTURE, "front") for name in table.column_names]), part)
    read = read_all([folder], CONFIG)
    assert [sorted(each.cameras) for each in read] == [["front"]] * 3
    np.testing.assert_array_equal(read[2].cameras["front"](0), frame(5))
    assert [(len(each), each.rate) for each in read] == [(4, 50.0), (2, 50.0), (6, 50.0)]  # 3, 2 and 4 at 30 Hz
    assert capsys.readouterr().out == "episodes recorded at 30 Hz are resampled to 50 Hz (robot.control_rate)\n"
