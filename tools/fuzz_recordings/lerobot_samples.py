"""Writes LeRobot datasets of versions 3.0 and 2.1, with videos or with images in the rows."""

from __future__ import annotations

import io
import json
import pathlib
from typing import Any

import av
import numpy as np
import pyarrow
from PIL import Image
from pyarrow import parquet

from fuzz_recordings.motion import CAMERAS, NUM_STEPS, PROMPT, motion, picture

FPS = 50
_PICTURES = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
_VECTOR = pyarrow.list_(pyarrow.float32(), 14)
_JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate", "gripper")
_NAMES = [f"{side}_{joint}" for side in ("left", "right") for joint in _JOINTS]


def _write_video(path: pathlib.Path, frames: list[np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"g": "2", "crf": "10"})
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def _png(image: np.ndarray) -> bytes:
    Image.fromarray(image).save(buffer := io.BytesIO(), "PNG")
    return buffer.getvalue()


def _rows(number: int, *, first: int, images: bool) -> dict[str, Any]:
    states = motion(number)
    steps = np.arange(NUM_STEPS)
    rows: dict[str, Any] = {
        "observation.state": pyarrow.array(list(states), _VECTOR),
        "action": pyarrow.array(list(states + np.float32(0.01)), _VECTOR),
        "timestamp": pyarrow.array((steps / FPS).astype(np.float32)),
        "frame_index": pyarrow.array(steps),
        "episode_index": pyarrow.array(np.full(NUM_STEPS, number)),
        "index": pyarrow.array(first + steps),
        "task_index": pyarrow.array(np.zeros(NUM_STEPS, np.int64)),
        "next.success": pyarrow.array(steps == NUM_STEPS - 1),
    }
    if images:
        for camera in CAMERAS:
            content = [{"bytes": _png(picture(number, camera, step)), "path": None} for step in range(NUM_STEPS)]
            rows[f"observation.images.{camera}"] = pyarrow.array(content, _PICTURES)
    return rows


def _info(version: str, *, images: bool, **more: object) -> dict[str, Any]:
    features: dict[str, Any] = {
        name: {"dtype": "float32", "shape": [14], "names": _NAMES} for name in ("observation.state", "action")
    }
    for name, dtype in (("timestamp", "float32"), ("next.success", "bool")):
        features[name] = {"dtype": dtype, "shape": [1], "names": None}
    for name in ("frame_index", "episode_index", "index", "task_index"):
        features[name] = {"dtype": "int64", "shape": [1], "names": None}
    for camera in CAMERAS:
        axes = ["height", "width", "channels"]
        dtype = "image" if images else "video"
        features[f"observation.images.{camera}"] = {"dtype": dtype, "shape": [16, 16, 3], "names": axes}
    totals = {"total_episodes": 2, "total_frames": 2 * NUM_STEPS, "total_tasks": 1}
    return {"codebase_version": version, "robot_type": "aloha", "fps": FPS, **totals, "features": features, **more}


def _write_version_3(folder: pathlib.Path, *, images: bool) -> None:
    for part in ("data/chunk-000", "meta/episodes/chunk-000"):
        (folder / part).mkdir(parents=True)
    tables = [pyarrow.table(_rows(number, first=number * NUM_STEPS, images=images)) for number in range(2)]
    parquet.write_table(pyarrow.concat_tables(tables), folder / "data/chunk-000/file-000.parquet", row_group_size=5)
    meta = []
    for number in range(2):
        row: dict[str, Any] = {"episode_index": number, "length": NUM_STEPS, "tasks": [PROMPT]}
        row |= {"dataset_from_index": number * NUM_STEPS, "dataset_to_index": (number + 1) * NUM_STEPS}
        row |= {"data/chunk_index": 0, "data/file_index": 0}
        for camera in () if images else CAMERAS:
            begin = number * NUM_STEPS / FPS
            place = {
                "chunk_index": 0,
                "file_index": 0,
                "from_timestamp": begin,
                "to_timestamp": begin + NUM_STEPS / FPS,
            }
            row |= {f"videos/observation.images.{camera}/{key}": value for key, value in place.items()}
        meta.append(row)
    parquet.write_table(pyarrow.Table.from_pylist(meta), folder / "meta/episodes/chunk-000/file-000.parquet")
    tasks = pyarrow.table({"task_index": [0], "__index_level_0__": [PROMPT]})
    parquet.write_table(tasks, folder / "meta/tasks.parquet")
    info = _info(
        "v3.0",
        images=images,
        data_path="data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        video_path=None if images else "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
    )
    (folder / "meta/info.json").write_text(json.dumps(info, indent=1))
    for camera in () if images else CAMERAS:
        frames = [picture(number, camera, step) for number in range(2) for step in range(NUM_STEPS)]
        _write_video(folder / f"videos/observation.images.{camera}/chunk-000/file-000.mp4", frames)


def write_version_3_video(folder: pathlib.Path) -> None:
    """Writes a dataset of version 3.0, of which one video per camera holds both episodes."""
    _write_version_3(folder, images=False)


def write_version_3_images(folder: pathlib.Path) -> None:
    """Writes a dataset of version 3.0 with images in the rows."""
    _write_version_3(folder, images=True)


def write_version_2_1(folder: pathlib.Path) -> None:
    """Writes a dataset of version 2.1, in which each episode has its own files."""
    (folder / "meta").mkdir(parents=True)
    (folder / "data/chunk-000").mkdir(parents=True)
    for number in range(2):
        table = pyarrow.table(_rows(number, first=number * NUM_STEPS, images=False))
        parquet.write_table(table, folder / f"data/chunk-000/episode_{number:06d}.parquet")
        for camera in CAMERAS:
            frames = [picture(number, camera, step) for step in range(NUM_STEPS)]
            _write_video(folder / f"videos/chunk-000/observation.images.{camera}/episode_{number:06d}.mp4", frames)
    episodes = [{"episode_index": number, "tasks": [PROMPT], "length": NUM_STEPS} for number in range(2)]
    _write_lines(folder / "meta/episodes.jsonl", episodes)
    _write_lines(folder / "meta/tasks.jsonl", [{"task_index": 0, "task": PROMPT}])
    info = _info(
        "v2.1",
        images=False,
        total_chunks=1,
        chunks_size=1000,
        total_videos=2 * len(CAMERAS),
        data_path="data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        video_path="videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    )
    (folder / "meta/info.json").write_text(json.dumps(info, indent=1))


def _write_lines(path: pathlib.Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
