"""Writes small LeRobot datasets of versions 2 and 3, whose parts a test may change before they are written."""

from __future__ import annotations

import dataclasses
import fractions
import io
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import av
import numpy as np
import pyarrow
from PIL import Image
from pyarrow import parquet

from support.recordings import numbers

FPS = 30
HEIGHT, WIDTH = 32, 48
JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate", "gripper")
LEFT, RIGHT = ([f"{side}_{joint}" for joint in JOINTS] for side in ("left", "right"))
CAMERA = "observation.images.cam_high"
PICTURES = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
INFO = "meta/info.json"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
ROWS = "data/chunk-000/file-000.parquet"
VIDEO = f"videos/{CAMERA}/chunk-000/file-000.mp4"


def frame(number: int) -> np.ndarray:
    """Returns a frame whose gray shows its number."""
    return np.full((HEIGHT, WIDTH, 3), 20 + 10 * number, np.uint8)


def png(image: np.ndarray) -> bytes:
    Image.fromarray(image).save(buffer := io.BytesIO(), "PNG")
    return buffer.getvalue()


def write_video(
    path: pathlib.Path,
    frames: Sequence[int],
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    fps: float = FPS,
    times: Sequence[float] | None = None,
    options: dict[str, str] | None = None,
    tint: int = 0,
) -> None:
    """Writes frames by their numbers, at `fps` or at given times, s. A tint makes them red."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            codec, rate=fractions.Fraction(fps).limit_denominator(1001), options=options or {}
        )
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, pixels
        base = fractions.Fraction(1, 90000)
        stream.codec_context.time_base = base
        for place, number in enumerate(frames):
            image = frame(number) + np.array([tint, 0, 0], np.uint8)
            picture = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels)
            picture.pts = round((times[place] if times else place / fps) / base)
            picture.time_base = base
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


@dataclasses.dataclass
class LeRobotSet:
    """A dataset of episodes with one camera. A test changes what it wants, and then writes it.

    Attributes:
        lengths: the number of steps of each episode.
        size: the numbers of dimensions of states and actions.
        camera: "video", "image" for images in the rows, or empty for none.
        rows: the columns of the rows, as lists.
        episodes: the entries of the table of episodes.
        tasks: the table of tasks; None writes none.
        info: what meta/info.json says.
        frames: the frames of the video by their numbers.
    """

    lengths: Sequence[int] = (3, 2)
    size: tuple[int, int] = (14, 14)
    camera: str = "video"
    version: str = "v3.0"
    rows: dict[str, list[Any]] = dataclasses.field(init=False)
    episodes: list[dict[str, Any]] = dataclasses.field(init=False)
    tasks: dict[str, list[Any]] | None = dataclasses.field(init=False)
    info: dict[str, Any] = dataclasses.field(init=False)
    frames: list[int] = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        """Fills the dataset with states 0, 0.01 .., actions 1 above them, and frames that are numbered through."""
        total = sum(self.lengths)
        steps = [step for length in self.lengths for step in range(length)]
        self.frames = list(range(total))
        self.rows = {
            "observation.state": numbers(total, self.size[0]).tolist(),
            "action": (numbers(total, self.size[1]) + 1).tolist(),
            "timestamp": [step / FPS for step in steps],
            "frame_index": steps,
            "episode_index": np.repeat(np.arange(len(self.lengths)), self.lengths).tolist(),
            "index": list(range(total)),
            "task_index": [0] * total,
        }
        if self.camera == "image":
            self.rows[CAMERA] = [{"bytes": png(frame(number)), "path": None} for number in self.frames]
        ends = np.cumsum([0, *self.lengths])
        self.episodes = [
            {"episode_index": number, "tasks": ["stack the cubes"], "length": length}
            for number, length in enumerate(self.lengths)
        ]
        for number, entry in enumerate(self.episodes):
            entry |= {"data/chunk_index": 0, "data/file_index": 0}
            if self.camera == "video":
                place = {"chunk_index": 0, "file_index": 0, "from_timestamp": ends[number] / FPS}
                place["to_timestamp"] = ends[number + 1] / FPS
                entry |= {f"videos/{CAMERA}/{key}": value for key, value in place.items()}
        self.tasks = {"task_index": [0], "task": ["stack the cubes"]}
        kinds = {"observation.state": ("float32", self.size[0]), "action": ("float32", self.size[1])}
        kinds |= {"timestamp": ("float32", 1)}
        features: dict[str, Any] = {}
        for name in self.rows:
            dtype, size = kinds.get(name, ("int64", 1))
            features[name] = {"dtype": dtype, "shape": [size], "names": None}
        if self.camera:
            names = ["height", "width", "channels"]
            features[CAMERA] = {"dtype": self.camera, "shape": [HEIGHT, WIDTH, 3], "names": names}
        self.info = {
            "codebase_version": self.version,
            "robot_type": "aloha",
            "total_episodes": len(self.lengths),
            "total_frames": total,
            "fps": FPS,
            "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
            "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
            "features": features,
        }
        if self.version.startswith("v2"):
            self.info["chunks_size"] = 1000
            self.info["data_path"] = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
            self.info["video_path"] = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"

    @property
    def features(self) -> dict[str, Any]:
        """The features of meta/info.json."""
        return self.info["features"]

    def name(self, state: Any, action: Any = None) -> LeRobotSet:
        """Gives names to the dimensions of the state, and to those of the action the same or others."""
        self.features["observation.state"]["names"] = state
        self.features["action"]["names"] = state if action is None else action
        return self

    def add(self, column: str, dtype: str, values: Sequence[Any], shape: Sequence[int] = (1,)) -> LeRobotSet:
        """Adds a feature with a value in each row."""
        self.rows[column] = list(values)
        self.features[column] = {"dtype": dtype, "shape": list(shape), "names": None}
        return self

    def write(self, folder: pathlib.Path) -> pathlib.Path:
        """Writes the dataset into a folder and returns the folder."""
        (folder / "meta").mkdir(parents=True)
        (folder / INFO).write_text(json.dumps(self.info))
        return self._write_2(folder) if self.version.startswith("v2") else self._write_3(folder)

    def _write_3(self, folder: pathlib.Path) -> pathlib.Path:
        _write_table(folder / ROWS, self.table())
        _write_table(folder / EPISODES, pyarrow.Table.from_pylist(self.episodes))
        if self.tasks is not None:
            _write_table(folder / "meta" / "tasks.parquet", pyarrow.table(self.tasks))
        if self.camera == "video":
            write_video(folder / VIDEO, self.frames)
        return folder

    def _write_2(self, folder: pathlib.Path) -> pathlib.Path:
        table, numbers_ = self.table(), np.array(self.rows["episode_index"])
        for number in np.unique(numbers_):
            rows = np.flatnonzero(numbers_ == number)
            _write_table(folder / f"data/chunk-000/episode_{number:06d}.parquet", table.take(pyarrow.array(rows)))
            if self.camera == "video":
                frames = [self.frames[row] for row in rows]
                write_video(folder / f"videos/chunk-000/{CAMERA}/episode_{number:06d}.mp4", frames)
        entries = [{key: entry[key] for key in ("episode_index", "tasks", "length")} for entry in self.episodes]
        (folder / "meta" / "episodes.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
        if self.tasks is not None:
            tasks = [dict(zip(self.tasks, values, strict=True)) for values in zip(*self.tasks.values(), strict=True)]
            (folder / "meta" / "tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks))
        return folder

    def table(self) -> pyarrow.Table:
        """Returns the rows as they are written."""
        kinds = {name: pyarrow.list_(pyarrow.float32()) for name in ("observation.state", "action")}
        kinds |= {"timestamp": pyarrow.float32()}
        kinds |= {CAMERA: PICTURES} if self.camera == "image" else {}
        return pyarrow.table({name: _array(values, kinds.get(name)) for name, values in self.rows.items()})


def _array(values: list[Any], kind: pyarrow.DataType | None) -> pyarrow.Array:
    return values if isinstance(values, pyarrow.Array) else pyarrow.array(values, kind)


def _write_table(path: pathlib.Path, table: pyarrow.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path)
