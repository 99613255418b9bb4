"""Reads meta/info.json of a LeRobot dataset: its version, its rate, its features and where its files are."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.lerobot.features import Feature, parse_feature

INFO = "meta/info.json"
"""The file that makes a folder a LeRobot dataset."""

VERSIONS = ("v2.0", "v2.1", "v3")
STATES, ACTIONS = ("observation.state", "state"), ("action", "actions")
"""The names of the features of states and actions. The first is LeRobot's, the second that of openpi's converters."""
_MAX_NAME = 255
"""The longest name of a file that file systems of Linux take, bytes."""
_DATA_PATH = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
_VIDEO_PATH = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """Says what meta/info.json says.

    Attributes:
        folder: the folder of the dataset.
        version: the version, for example "3.0".
        rate: control steps per second, Hz.
        features: the features by name.
        state: the name of the feature of states.
        action: the name of the feature of actions.
        data_path: the template of the data files, empty where the file has none.
        video_path: the template of the videos, empty where the file has none.
        chunks_size: the number of episodes in a folder of version 2.
        robot_type: the robot, empty where the file does not say it.
        total_episodes: the number of episodes, None where the file does not say it.
        total_frames: the number of steps of all episodes, None where the file does not say it.
    """

    folder: pathlib.Path
    version: str
    rate: float
    features: Mapping[str, Feature]
    state: str
    action: str
    data_path: str
    video_path: str
    chunks_size: int
    robot_type: str
    total_episodes: int | None
    total_frames: int | None

    @property
    def path(self) -> pathlib.Path:
        """The file itself."""
        return self.folder / INFO

    @property
    def file_per_episode(self) -> bool:
        """Whether each episode has files of its own, as in version 2."""
        return self.version.startswith("2")

    def place(self, template: str, **fields: object) -> pathlib.Path:
        """Returns the path of a file within the folder.

        Args:
            template: `data_path` or `video_path`.
            fields: what stands in the template.

        Raises:
            EpisodesError: where the template has other fields, or leads out of the folder.
        """
        if not template:
            raise EpisodesError(
                f"video_path must say where videos are, got none in {self.path}; download the dataset again"
            )
        try:
            relative = pathlib.PurePosixPath(template.format(**fields))
        except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
            raise EpisodesError(
                f"paths of files must have the fields {', '.join(fields)}, got {template!r} in {self.path}: {error!r}; "
                "correct it"
            ) from error
        if any(len(part.encode()) > _MAX_NAME for part in relative.parts):
            raise EpisodesError(
                f"names of files must have at most {_MAX_NAME} bytes, got {str(relative)[:80]}.. in "
                f"{self.path}; correct it"
            )
        if relative.is_absolute() or ".." in relative.parts or "\0" in str(relative) or "\\" in str(relative):
            raise EpisodesError(
                f"files of a LeRobot dataset must be in its folder, got {str(relative)!r} from {template!r} in "
                f"{self.path}; correct it"
            )
        return self.folder / relative


def parse_json(text: str) -> Any:
    """Returns the value of a JSON text.

    Raises:
        ValueError: where it is none, or holds characters that no text file can hold (single surrogates).
        RecursionError: where it is too deep.
    """
    value = json.loads(text)
    json.dumps(value, ensure_ascii=False).encode()
    return value


def read_info(folder: pathlib.Path) -> DatasetInfo:
    """Returns what meta/info.json of a dataset says.

    Raises:
        EpisodesError: where the file is damaged, of another version, or lacks something that is needed.
    """
    path = folder / INFO
    try:
        content = parse_json(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise EpisodesError(f"LeRobot dataset must be whole, got {path}: {error!r}; download it again") from error
    if not isinstance(content, dict):
        raise EpisodesError(f"meta/info.json must be a JSON object, got {type(content).__name__} in {path}; correct it")
    version = _version(content.get("codebase_version"), path)
    features = _features(content.get("features"), path)
    return DatasetInfo(
        folder=folder,
        version=version,
        rate=_rate(content.get("fps"), path),
        features=features,
        state=_feature_of(STATES, features, path),
        action=_feature_of(ACTIONS, features, path),
        data_path=_text(content, "data_path", path) or ("" if version.startswith("3") else _DATA_PATH),
        video_path=_text(content, "video_path", path) or ("" if version.startswith("3") else _VIDEO_PATH),
        chunks_size=_count(content, "chunks_size", path) or 1000,
        robot_type=_text(content, "robot_type", path),
        total_episodes=_count(content, "total_episodes", path),
        total_frames=_count(content, "total_frames", path),
    )


def _version(value: object, path: pathlib.Path) -> str:
    if not isinstance(value, str) or not value.startswith(VERSIONS):
        raise EpisodesError(
            f"LeRobot dataset must be of version {', '.join(VERSIONS)}, got {value} in {path}; convert it with LeRobot"
        )
    return value.removeprefix("v")


def _features(value: object, path: pathlib.Path) -> dict[str, Feature]:
    if not isinstance(value, dict) or not value:
        raise EpisodesError(f"features must be named in {path}, got {value!r:.80}; download the dataset again")
    return {name: parse_feature(name, feature, path) for name, feature in value.items()}


def _feature_of(names: tuple[str, ...], features: Mapping[str, Feature], path: pathlib.Path) -> str:
    found = [name for name in names if name in features]
    if not found:
        raise EpisodesError(
            f"LeRobot dataset must have {STATES[0]}, {ACTIONS[0]}, episode_index, got {', '.join(features)} in {path}; "
            "record the missing ones too"
        )
    return found[0]


def _rate(value: object, path: pathlib.Path) -> float:
    number = not isinstance(value, bool) and isinstance(value, int | float)
    if not number or not math.isfinite(rate := float(value)) or not 0.0 < rate <= 10000.0:  # type: ignore[arg-type]
        raise EpisodesError(f"fps must be a number of steps per second, got {value!r:.80} in {path}; correct it")
    return rate


def _text(content: Mapping[str, Any], key: str, path: pathlib.Path) -> str:
    value = content.get(key)
    if value is not None and not isinstance(value, str):
        raise EpisodesError(f"{key} must be a text, got {value!r:.80} in {path}; correct it")
    return value or ""


def _count(content: Mapping[str, Any], key: str, path: pathlib.Path) -> int | None:
    value = content.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise EpisodesError(f"{key} must be a whole number, got {value!r:.80} in {path}; correct it")
    return value
