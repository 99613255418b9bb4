"""Recognizes the recorder of a file, and what its states and actions leave open."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np

from chunk_ppo_ros.config import RecordingsConfig
from chunk_ppo_ros.config.entries.recordings import INTERBOTIX_2, NORMALIZED, RADIANS, RGB, RIGHT_FIRST
from chunk_ppo_ros.core.errors import EpisodesError, UnansweredQuestion
from chunk_ppo_ros.data.aloha_hdf5.arm_names import ArmNames
from chunk_ppo_ros.robot import aloha

INTERBOTIX_2_RECORDER = "Interbotix' ALOHA 2.0 recorder"

INTERBOTIX_2_CAMERAS = {
    "camera_high": "cam_high",
    "camera_low": "cam_low",
    "camera_wrist_left": "cam_left_wrist",
    "camera_wrist_right": "cam_right_wrist",
}
"""ALOHA's name of each camera of Interbotix' ALOHA 2.0 recorder."""

_INTERBOTIX_2_ROBOTS = ("aloha_stationary", "aloha_mobile", "aloha_solo")
"""The names of the robots in the YAML files of that recorder."""

_BROKEN_GRIPPERS = (30.0, 125.0)
"""The range of the grippers in the states of that recorder, with some margin. Open is 113, and closed is 41."""


@dataclasses.dataclass(frozen=True)
class Recorder:
    """The program that wrote a file.

    Attributes:
        name: its name, or that of the robot.
        order_varies: whether it writes the arms in an order that the file does not say.
        evidence: by what it was recognized.
        compresses_by_opencv: whether it gives what cameras send to OpenCV, which takes it for BGR.
    """

    name: str
    order_varies: bool = False
    evidence: str = ""
    compresses_by_opencv: bool = False


def recognize(cameras: Collection[str], attributes: Collection[str], datasets: Collection[str]) -> Recorder:
    """Returns the recorder of a file.

    Args:
        cameras: the names of its cameras.
        attributes: the texts of its attributes, and of its datasets of text.
        datasets: the names of its datasets.
    """
    known = [name for name in INTERBOTIX_2_CAMERAS if any(camera.startswith(name) for camera in cameras)]
    robots = [name for name in _INTERBOTIX_2_ROBOTS if any(name in text for text in attributes)]
    if known or robots:
        evidence = f"cameras {', '.join(known)}" if known else f"robot {robots[0]}"
        return Recorder(INTERBOTIX_2_RECORDER, order_varies=True, evidence=evidence, compresses_by_opencv=True)
    if "base_action" in datasets:
        return Recorder("Mobile ALOHA, or Interbotix' ALOHA 1.0 recorder", compresses_by_opencv=True)
    return Recorder("ALOHA")


def check(
    recorder: Recorder,
    states: np.ndarray,
    actions: np.ndarray,
    recordings: RecordingsConfig,
    filename: str,
    names: Sequence[ArmNames] = (),
) -> None:
    """Refuses a file that leaves open how it is meant, and flags that cannot hold for it.

    Args:
        recorder: its recorder.
        states: float64 [T, S], as recorded.
        actions: float64 [T, D], as recorded.
        recordings: the settings that say how it is meant.
        filename: its path, for error texts.
        names: the names in the file that tell which arm comes first.

    Raises:
        EpisodesError: where a flag cannot hold.
        UnansweredQuestion: where only a person knows how the file is meant. The text has all questions.
    """
    order = _arm_order_question(recorder, actions.shape[1], recordings, names)
    questions = [each for each in (order, _gripper_question(states, recordings)) if each]
    if questions:
        raise UnansweredQuestion(f"an episode must say what it is, got {filename}: {'; '.join(questions)}")
    if problem := _needless_flags(states, actions, recordings) or _repaired_in_vain(states, recordings):
        raise EpisodesError(f"{problem} in {filename}; leave the flag out")


def order_sentence(dim: int, recordings: RecordingsConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns sentences about the order of the arms: what was said, and what was assumed."""
    if dim != aloha.ACTION_DIM:
        return (), ()
    if not recordings.arm_order:
        return (), ("The left arm is taken to come first (--arm_order).",)
    side = "right" if recordings.arm_order == RIGHT_FIRST else "left"
    return (f"The {side} arm comes first in the file, by --arm_order.",), ()


def unit_sentences(states: np.ndarray, actions: np.ndarray, recordings: RecordingsConfig) -> tuple[str, ...]:
    """Returns sentences about the units of states [T, S] and actions [T, D], which the file does not say."""
    if not (_is_arms(states) and _is_arms(actions)):
        sizes = f"States have {states.shape[1]} dimensions and actions {actions.shape[1]}"
        return (f"{sizes}, which are not one or two arms of ALOHA. They are taken as they are.",)
    return (
        f"Joints are taken to be in {recordings.joint_unit} (--joint_unit), grippers of states as "
        f"{recordings.state_gripper_unit} (--state_gripper_unit) and those of actions as "
        f"{recordings.action_gripper_unit} (--action_gripper_unit).",
    )


def _arm_order_question(recorder: Recorder, dim: int, recordings: RecordingsConfig, names: Sequence[ArmNames]) -> str:
    """Returns what a person must say about the order of the arms, or an empty text where nothing is open."""
    if dim != aloha.ACTION_DIM or recordings.arm_order:
        return ""
    for named in names:
        if named.first == aloha.SIDES[1]:
            return (
                f"{named.where} names the right arm first: set --arm_order right_first, or left_first where the names "
                "are wrong"
            )
    if not recorder.order_varies:
        return ""
    return (
        f"it is of {recorder.name} ({recorder.evidence}), which writes the arms in the order of its robot's YAML file, "
        "and the YAML files that come with it begin with the right arm: set --arm_order right_first, or left_first "
        "where yours begins with the left arm"
    )


def _gripper_question(states: np.ndarray, recordings: RecordingsConfig) -> str:
    """Returns what a person must say about grippers of the states [T, D], or an empty text where nothing is open."""
    grippers = _grippers(states)
    if recordings.state_gripper_unit != NORMALIZED or not grippers.size:
        return ""
    broken = np.all((grippers >= _BROKEN_GRIPPERS[0]) & (grippers <= _BROKEN_GRIPPERS[1]), axis=0)
    if not np.any(broken):
        return ""
    low, high = float(grippers[:, broken].min()), float(grippers[:, broken].max())
    return (
        f"the grippers of its states are {low:.4g}..{high:.4g} in place of 0..1, as {INTERBOTIX_2_RECORDER} writes "
        f"them (41 closed, 113 open): set --state_gripper_unit {INTERBOTIX_2}, or another unit of --state_gripper_unit"
    )


def _repaired_in_vain(states: np.ndarray, recordings: RecordingsConfig) -> str:
    """Returns why the repair of that recorder's grippers does not fit the states [T, D], or an empty text."""
    grippers = _grippers(states)
    if recordings.state_gripper_unit != INTERBOTIX_2 or not grippers.size or np.abs(grippers).max() > 2.0:
        return ""
    return (
        f"grippers of the state must be about 41..113 for --state_gripper_unit {INTERBOTIX_2}, got "
        f"{grippers.min():.4g}..{grippers.max():.4g}"
    )


def _needless_flags(states: np.ndarray, actions: np.ndarray, recordings: RecordingsConfig) -> str:
    """Returns why flags of units cannot hold for states [T, S] and actions [T, D], or an empty text."""
    flags = {
        "--joint_unit": recordings.joint_unit != RADIANS,
        "--state_gripper_unit": recordings.state_gripper_unit != NORMALIZED,
        "--action_gripper_unit": recordings.action_gripper_unit != NORMALIZED,
        "--arm_order": recordings.arm_order == RIGHT_FIRST,
    }
    given = ", ".join(flag for flag, is_given in flags.items() if is_given)
    if not given or (_is_arms(states) and _is_arms(actions)):
        return ""
    return f"{given} must be for states and actions of 7 or 14, got {states.shape[1]} and {actions.shape[1]}"


def color_sentences(recorder: Recorder, has_compressed: bool, recordings: RecordingsConfig) -> tuple[str, ...]:
    """Returns sentences about colors that the recorder exchanges, unless the flag says that it does."""
    if not (recorder.compresses_by_opencv and has_compressed and recordings.channel_order == RGB):
        return ()
    return (
        "This recorder gives what cameras send to OpenCV, which takes it for BGR. Cameras that send RGB, as those of "
        "RealSense do, have red and blue exchanged in its files: look at a picture, and set --channel_order bgr.",
    )


def _is_arms(values: np.ndarray) -> bool:
    return values.shape[1] in (aloha.SIDE_DIM, aloha.ACTION_DIM)


def _grippers(states: np.ndarray) -> np.ndarray:
    return states[:, aloha.GRIPPER_INDICES[: states.shape[1] // aloha.SIDE_DIM]] if _is_arms(states) else np.empty(0)
