"""Decides what all episodes of a dataset have in common, and declares it as features of meta/info.json."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from chunk_ppo_ros.config.commands.recordings import LEROBOT_IMAGES
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.data.lerobot.features import IMAGE, VIDEO
from chunk_ppo_ros.data.lerobot.success import ROW_SUCCESS
from chunk_ppo_ros.robot import aloha

STATE, ACTION, REWARD, DONE, MEASURED = (
    *("observation.state", "action", "next.reward", "next.done"),
    "observation.measured",
)
"""The names of features. The last one is our own: whether all of the observation was measured at this step."""
CAMERA_PREFIX = "observation.images."
H264, AV1, PNG = LEROBOT_IMAGES
"""The ways to keep images: videos, or PNG files in the rows, which lose nothing."""
_BOOKS = {"timestamp": "float32", "frame_index": "int64", "episode_index": "int64", "index": "int64"}
_NEAR_WHOLE = 1e-3  # Hz

Shape = tuple[int, int, int]
"""The type of the shape of an image: height, width and channels."""


@dataclasses.dataclass(frozen=True)
class DatasetForm:
    """What all episodes of a dataset have in common.

    Attributes:
        rate: control steps per second, Hz, which LeRobot wants to be a whole number.
        sizes: the numbers of dimensions of a state and of an action.
        cameras: the shape of the images of each camera by its name.
        image_format: one of `LEROBOT_IMAGES`.
        has_rewards: whether steps have rewards.
        has_success: whether each episode says if it was a success.
        has_unmeasured: whether some rows hold older images, so that `MEASURED` says which.
    """

    rate: int
    sizes: tuple[int, int]
    cameras: Mapping[str, Shape]
    image_format: str
    has_rewards: bool
    has_success: bool
    has_unmeasured: bool

    @property
    def has_videos(self) -> bool:
        """Whether images are in videos."""
        return self.image_format != PNG and bool(self.cameras)


def form_of(episodes: Sequence[Episode], image_format: str) -> DatasetForm:
    """Returns what episodes have in common. Cameras that only some of them have are not part of it.

    Args:
        episodes: the episodes, at least one.
        image_format: one of `LEROBOT_IMAGES`.

    Raises:
        EpisodesError: where there is no episode, or they differ in rate or dimensions, or an image cannot be read.
    """
    if not episodes:
        raise EpisodesError("a dataset must have at least one episode, got none that can be used; record some first")
    first = episodes[0]
    for episode in episodes[1:]:
        for what, mine, other in (
            ("control rate", first.rate, episode.rate),
            ("sizes of states and actions", _sizes(first), _sizes(episode)),
        ):
            if mine != other:
                raise EpisodesError(
                    f"episodes of a dataset must have one {what}, got {mine} in {first.source} and {other} in "
                    f"{episode.source}; leave the others out by --leave_out_episodes, and export them apart"
                )
    rate = round(first.rate)
    if rate < 1 or abs(rate - first.rate) > _NEAR_WHOLE:
        raise EpisodesError(
            f"LeRobot wants a whole number of steps per second, got {first.rate:g} Hz in {first.source}; resample the "
            "recording"
        )
    common = [name for name in first.cameras if all(name in episode.cameras for episode in episodes)]
    return DatasetForm(
        rate=rate,
        sizes=_sizes(first),
        cameras={name: _shape(first, name) for name in common},
        image_format=image_format,
        has_rewards=all(episode.rewards is not None for episode in episodes),
        has_success=all(episode.success is not None for episode in episodes),
        has_unmeasured=any(episode.image_steps is not None for episode in episodes),
    )


def features_of(form: DatasetForm) -> dict[str, dict[str, object]]:
    """Returns the features as meta/info.json declares them, by name."""
    features = {
        STATE: _feature("float32", form.sizes[0], joint_names(form.sizes[0])),
        ACTION: _feature("float32", form.sizes[1], joint_names(form.sizes[1])),
        **{f"{CAMERA_PREFIX}{name}": _camera(form, shape) for name, shape in form.cameras.items()},
    }
    optional = {
        MEASURED: ("bool", form.has_unmeasured),
        REWARD: ("float32", form.has_rewards),
        ROW_SUCCESS: ("bool", form.has_success),
        DONE: ("bool", True),
    }
    features |= {name: _feature(dtype) for name, (dtype, is_there) in optional.items() if is_there}
    return features | {name: _feature(dtype) for name, dtype in {**_BOOKS, "task_index": "int64"}.items()}


def joint_names(size: int) -> list[str] | None:
    """Returns LeRobot's names of ALOHA's dimensions, left_waist to right_gripper, or None for another robot."""
    if size != aloha.ACTION_DIM:
        return None
    return [aloha.joint_name(index).replace(" ", "_") for index in range(size)]


def image_step(episode: Episode, step: int) -> int:
    """Returns the step whose image a step has: the newest one up to it."""
    if episode.image_steps is None:
        return step
    return int(episode.image_steps[np.searchsorted(episode.image_steps, step, side="right") - 1])


def _sizes(episode: Episode) -> tuple[int, int]:
    return episode.states.shape[1], episode.actions.shape[1]


def _shape(episode: Episode, camera: str) -> Shape:
    height, width, channels = episode.cameras[camera](image_step(episode, 0)).shape
    return int(height), int(width), int(channels)


def _feature(dtype: str, size: int = 1, names: list[str] | None = None) -> dict[str, object]:
    return {"dtype": dtype, "shape": [size], "names": names}


def _camera(form: DatasetForm, shape: Shape) -> dict[str, object]:
    height, width, channels = shape
    declared: dict[str, object] = {"shape": list(shape), "names": ["height", "width", "channels"]}
    if form.image_format == PNG:
        return {"dtype": IMAGE, **declared}
    facts = {"height": height, "width": width, "channels": channels, "codec": form.image_format, "fps": form.rate}
    info = {f"video.{key}": value for key, value in facts.items()}
    info |= {"video.pix_fmt": pixel_format(shape), "video.is_depth_map": False, "has_audio": False}
    return {"dtype": VIDEO, **declared, "info": info}


def pixel_format(shape: Shape) -> str:
    """Returns the pixel format of videos. The usual one halves both sides, and needs even ones for that."""
    height, width, _ = shape
    return "yuv420p" if height % 2 == 0 and width % 2 == 0 else "yuv444p"
