"""Finds swapped wrist cameras: while one gripper moves, the picture of that arm's camera must change most."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence

import numpy as np

from chunk_ppo_ros.core.findings.finding import Finding, error, ok, warn

CLEAR = 2.0
"""The factor by which one picture must change more than the other for a clear answer."""
LEAST = 1.0
"""The smallest change of a picture that counts, as a mean of gray levels of 255 above the noise."""
_FEW = (slice(None, None, 4), slice(None, None, 4))
"""Every fourth row and column, which say enough about a gripper."""
ADVICE = "swap the serial numbers of both cameras in the launch file of the drivers, or their cables"


class PictureChange:
    """Compares the pictures of a camera with the first one. It keeps only the largest difference."""

    def __init__(self) -> None:
        self._first: np.ndarray | None = None
        self.largest = 0.0

    def see(self, image: np.ndarray) -> None:
        """Takes a picture, uint8 [h, w, 3]. One of another size begins anew."""
        few = image[_FEW].astype(np.float32)
        if self._first is None or self._first.shape != few.shape:
            self._first = few
        self.largest = max(self.largest, float(np.abs(few - self._first).mean()))


@dataclasses.dataclass(frozen=True)
class WristChanges:
    """How much the pictures of both wrist cameras changed while one gripper moved, in gray levels above the noise.

    Attributes:
        side: the side of the gripper that moved.
        own: the change of the camera that should be on this arm.
        other: the change of the other wrist camera.
    """

    side: str
    own: float
    other: float


class Answer(enum.Enum):
    """Which wrist camera is on which arm, as far as the pictures say."""

    RIGHT = "as they are named"
    SWAPPED = "swapped"
    UNCLEAR = "not clear"


def answer_of(changes: Sequence[WristChanges]) -> Answer:
    """Returns what the motions of the grippers together say. Where they contradict each other, it is not clear."""
    answers = {_answer(each) for each in changes} - {Answer.UNCLEAR}
    return answers.pop() if len(answers) == 1 else Answer.UNCLEAR


def _answer(change: WristChanges) -> Answer:
    if max(change.own, change.other) < LEAST:
        return Answer.UNCLEAR
    if change.own >= CLEAR * max(change.other, 0.0):
        return Answer.RIGHT
    return Answer.SWAPPED if change.other >= CLEAR * max(change.own, 0.0) else Answer.UNCLEAR


def judge_wrists(changes: Sequence[WristChanges], *, operator: Answer | None = None) -> Finding:
    """Returns whether the wrist cameras are as they are named.

    Args:
        changes: what changed while each gripper moved.
        operator: what the operator said where the pictures do not; None where nobody was asked.
    """
    found = "; ".join(
        f"while the {each.side} gripper moved, its camera changed by {each.own:.1f} and the other by {each.other:.1f}"
        for each in changes
    )
    name, answer = "wrist cameras", answer_of(changes)
    if answer is Answer.UNCLEAR and operator is not None:
        answer, found = operator, f"{found}; the operator says that they are {operator.value}"
    if answer is Answer.RIGHT:
        return ok(name, found)
    if answer is Answer.SWAPPED:
        return error(name, f"{found}: they are swapped", ADVICE)
    return warn(name, f"{found}: not clear", "light the workspace, and look which picture shows the gripper that moves")
