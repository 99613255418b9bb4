"""Says what a LeRobot dataset says itself, what is assumed, and what is not used."""

from __future__ import annotations

from collections.abc import Sequence

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.data.episode import RecordingFacts, camera_names
from chunk_ppo_ros.data.lerobot.dimensions import Dimensions
from chunk_ppo_ros.data.lerobot.features import Feature
from chunk_ppo_ros.data.lerobot.info import INFO, DatasetInfo
from chunk_ppo_ros.data.lerobot.success import ROW_SUCCESS

_BOOKS = {"timestamp", "frame_index", "episode_index", "index", "task_index", ROW_SUCCESS}
_KINDS = {
    "velocity": "velocities",
    "qvel": "velocities",
    "effort": "efforts",
    "torque": "torques",
    "current": "currents of motors",
    "base": "the mobile base",
    "reward": "rewards",
    "done": "ends of episodes",
}


def facts_of(
    info: DatasetInfo,
    taken: Dimensions,
    undeclared: Sequence[str],
    assumed: Sequence[str],
    config: TrainConfig,
) -> RecordingFacts:
    """Returns what is known of an episode.

    Args:
        info: what meta/info.json says.
        taken: the dimensions that are taken.
        undeclared: the columns and videos that meta/info.json does not declare.
        assumed: what is assumed of the rows.
        config: the settings.
    """
    recordings = config.recordings
    said = [f"{INFO} says {info.rate:g} Hz", *taken.said]
    if info.robot_type:
        said.append(f"{INFO} says the robot is {info.robot_type}")
    units = (
        f"joints are in {recordings.joint_unit} (--joint_unit), grippers of states are {recordings.state_gripper_unit} "
        f"(--state_gripper_unit), those of actions {recordings.action_gripper_unit} (--action_gripper_unit)"
    )
    return RecordingFacts(
        format=f"LeRobot {info.version}",
        state_names=info.features[info.state].names,
        action_names=info.features[info.action].names,
        said=tuple(said),
        assumed=(*taken.assumed, *assumed, units),
        unused=(*taken.unused, *_unused(info, undeclared, config)),
    )


def _unused(info: DatasetInfo, undeclared: Sequence[str], config: TrainConfig) -> list[str]:
    unused = []
    for feature in info.features.values():
        kind = _kind(feature, camera_names(config))
        if kind and feature.name not in (info.state, info.action, *_BOOKS):
            unused.append(f"{feature.name} {feature.shape_text}, {kind}")
    return [*unused, *(f"{name}, which {INFO} does not declare" for name in undeclared)]


def _kind(feature: Feature, cameras: tuple[str, ...]) -> str:
    """Returns what an unused feature is, or an empty text for a camera that is used."""
    if feature.is_depth:
        return "a depth camera"
    if feature.is_camera:
        return "" if feature.camera in cameras else "a camera that --episode_cameras does not name"
    return next((kind for word, kind in _KINDS.items() if word in feature.name.lower()), f"{feature.dtype} values")
